/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/transfer.h: one-sided writes and reads, notifications, completions.
 *
 * Every call that starts work takes `pirn_transfer *transfer`:
 *   not NULL: returns at once; the id is for test / wait / cancel / release;
 *   NULL:     blocks until the work is terminal and returns its status.
 * With PIRN_TRANSFER_QUEUED the result goes to the completion queue instead
 * (pirn_endpoint_poll), which also releases the id; do not test, wait for or
 * release such a transfer (cancel is allowed).
 *
 * A write is complete when its bytes are visible to a reader at the target; a
 * read when they are in local memory. A notification carried by a transfer is
 * delivered after all bytes of that transfer are visible, and the transfer
 * completes when the target has taken it in. No order holds between transfers.
 *
 * Every transfer has a deadline. When it is terminal - whatever its status -
 * nothing touches its memory any more. Any thread may call any function. */
#ifndef PIRN_TRANSFER_H
#define PIRN_TRANSFER_H

#include <pirn/memory.h>

typedef uint64_t pirn_transfer; /* 0 is never a valid id */
typedef struct pirn_prepared pirn_prepared;

#define PIRN_NOTIFICATION_MAX 65536u /* bytes */
#define PIRN_VECTOR_MAX 1048576u     /* elements of one vector or prepared list */

#define PIRN_WRITE 1u
#define PIRN_READ 2u

#define PIRN_TRANSFER_QUEUED 1u /* flags: result goes to the completion queue */

typedef struct pirn_transfer_params {
  size_t struct_size;
  const void *notify;     /* message for the target once the data is visible; copied */
  uint64_t notify_length; /* 1..PIRN_NOTIFICATION_MAX; 0: no notification */
  uint64_t timeout_ns;
  uint64_t user_data;     /* handed back in results */
  uint64_t flags;         /* PIRN_TRANSFER_* */
  const char *path;       /* demand a path: "self", "ipc" or "fabric"; UNAVAILABLE if it is not there. NULL: as PIRN_PATH says */
} pirn_transfer_params;

/* One contiguous piece: length bytes between region + local_offset and window + remote_offset. */
typedef struct pirn_segment {
  pirn_region *region;
  uint64_t local_offset;
  pirn_window *window;
  uint64_t remote_offset;
  uint64_t length;
} pirn_segment;

typedef struct pirn_result {
  size_t struct_size;
  pirn_transfer transfer;
  uint64_t user_data;
  uint64_t bytes;          /* moved and acknowledged */
  pirn_peer *peer;
  pirn_status status;      /* PIRN_IN_PROGRESS until terminal */
  int32_t provider_error;  /* the provider's own code; 0 if none */
  char path[16];           /* "self", "ipc" or "fabric"; "" until one is taken, and if none was */
  char rail[64];           /* rail of the error, or the first used: "tcp/eth0"; behind it " (spare)" if it is one,
                              ", staged" if device memory went through host memory of the library's own, and ", direct"
                              if it was registered with the rails. On path "ipc": "device ring" or "host ring" if it
                              went through slots that its owner lent there, else "" */
  char text[256];          /* what went wrong, with the provider's own words */
} pirn_result;

typedef struct pirn_notification {
  size_t struct_size;
  pirn_peer *peer;  /* sender; valid while the caller holds a handle of it */
  uint64_t length;  /* bytes of the message */
} pirn_notification;

#ifdef __cplusplus
extern "C" {
#endif

/* params may be NULL. Errors before anything starts: INVALID, RANGE, ACCESS, AGAIN
 * (PIRN_MAX_TRANSFERS are in flight), PEER_LOST, WINDOW_GONE. */
PIRN_API pirn_status pirn_write(pirn_region *region, uint64_t local_offset, pirn_window *window,
                                uint64_t remote_offset, uint64_t length, const pirn_transfer_params *params,
                                pirn_transfer *transfer);
PIRN_API pirn_status pirn_read(pirn_region *region, uint64_t local_offset, pirn_window *window,
                               uint64_t remote_offset, uint64_t length, const pirn_transfer_params *params,
                               pirn_transfer *transfer);

/* All windows must be of one peer, all regions of one endpoint. segments is copied. */
PIRN_API pirn_status pirn_writev(const pirn_segment *segments, uint64_t count, const pirn_transfer_params *params,
                                 pirn_transfer *transfer);
PIRN_API pirn_status pirn_readv(const pirn_segment *segments, uint64_t count, const pirn_transfer_params *params,
                                pirn_transfer *transfer);

/* Checks and stores a list once, to be posted many times, also several times at
 * once. operation: PIRN_WRITE or PIRN_READ. Regions and windows stay in use
 * until the prepared list is released. */
PIRN_API pirn_status pirn_transfer_prepare(uint32_t operation, const pirn_segment *segments, uint64_t count,
                                           pirn_prepared **prepared);

/* Posts all elements. No heap allocation. */
PIRN_API pirn_status pirn_prepared_post(pirn_prepared *prepared, const pirn_transfer_params *params,
                                        pirn_transfer *transfer);

/* Posts chosen elements: the local side of element local_index[i] with the remote
 * side of element remote_index[i]. remote_index may be NULL: the same. The paired
 * lengths must be equal. Indices are copied; count is at most the list's length. */
PIRN_API pirn_status pirn_prepared_post_select(pirn_prepared *prepared, const uint32_t *local_index,
                                               const uint32_t *remote_index, uint64_t count,
                                               const pirn_transfer_params *params, pirn_transfer *transfer);

/* BUSY while posts of it are in flight. NULL is fine. */
PIRN_API pirn_status pirn_prepared_release(pirn_prepared *prepared);

/* PIRN_IN_PROGRESS, or the terminal status. result may be NULL. Makes progress. */
PIRN_API pirn_status pirn_transfer_test(pirn_endpoint *endpoint, pirn_transfer transfer, pirn_result *result);

/* Waits; PIRN_IN_PROGRESS if the timeout passed first (the transfer goes on). */
PIRN_API pirn_status pirn_transfer_wait(pirn_endpoint *endpoint, pirn_transfer transfer, uint64_t timeout_ns,
                                        pirn_result *result);

/* Stops a transfer and waits until it is terminal and quiet; returns its terminal status (CANCELLED,
 * or what it came to first). Idempotent. */
PIRN_API pirn_status pirn_transfer_cancel(pirn_endpoint *endpoint, pirn_transfer transfer);

/* Gives the id back. BUSY while it is in progress. */
PIRN_API pirn_status pirn_transfer_release(pirn_endpoint *endpoint, pirn_transfer transfer);

/* Takes up to capacity results of PIRN_TRANSFER_QUEUED transfers, waiting up to timeout_ns
 * for the first (PIRN_POLL_NOW: do not wait). result_size: sizeof(pirn_result), the stride of
 * the array. *count: how many were stored; none is not an error. */
#define PIRN_POLL_NOW UINT64_MAX
PIRN_API pirn_status pirn_endpoint_poll(pirn_endpoint *endpoint, uint64_t timeout_ns, pirn_result *results,
                                        size_t result_size, uint64_t capacity, uint64_t *count);

/* Sends a message of 1..PIRN_NOTIFICATION_MAX bytes; exactly once, in no order with transfers.
 * Complete when the target has taken it in. Only user_data, timeout_ns and flags of params count. */
PIRN_API pirn_status pirn_notify(pirn_peer *peer, const void *message, uint64_t length,
                                 const pirn_transfer_params *params, pirn_transfer *transfer);

/* Takes the next notification of any peer into buffer. *length: in: room, out: size. TOO_SMALL
 * leaves it in the queue and stores the size. PIRN_IN_PROGRESS if none came within timeout_ns
 * (PIRN_POLL_NOW: do not wait). */
PIRN_API pirn_status pirn_notification_take(pirn_endpoint *endpoint, uint64_t timeout_ns,
                                            pirn_notification *notification, void *buffer, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
