/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/stream.h: transfers in the order of a GPU's stream.
 *
 * A trigger is a prepared list that streams post: pirn_stream_post puts a node into the
 * stream, and when the device comes to it the list is posted; a stream that comes to the
 * node of pirn_stream_wait goes on once that post is terminal. Both calls return at once,
 * whatever the device and the network do, and both may be captured into a graph, which may
 * then be replayed any number of times, mixed with eager use. The device waits by itself, for
 * a word of page-locked memory; no callback runs.
 *
 *   pirn_transfer_prepare(PIRN_WRITE, ...);  pirn_trigger_create(list, NULL, &trigger);
 *   kernel<<<..., stream>>>();               what is to be sent
 *   pirn_stream_post(trigger, stream);       sends it when the kernel is done
 *   other<<<..., stream>>>();                runs meanwhile
 *   pirn_stream_wait(trigger, stream);       from here on it has arrived
 *
 * One trigger has one post at work: a stream that comes to the next one waits until the one
 * before is terminal. Posts of one trigger must be in an order (of one stream, or by events); for
 * several at once make several triggers.
 *
 * A post that fails, or is cancelled, or runs into its deadline, lets the stream go on too: look
 * at the status, from the host (pirn_trigger_get_info) or from a kernel (device_status).
 * `stream` is a CUstream / cudaStream_t or hipStream_t. The endpoint must make progress: by its
 * own thread (default), or by the application's calls. Any thread may call any function. */
#ifndef PIRN_STREAM_H
#define PIRN_STREAM_H

#include <pirn/transfer.h>

typedef struct pirn_trigger pirn_trigger;

typedef struct pirn_trigger_info {
  size_t struct_size;
  uint64_t posts;               /* that are terminal */
  uint64_t failed;              /* of them, with another status than PIRN_OK */
  const int64_t *device_status; /* where devices and the host read the status of the latest that is terminal */
  pirn_status status;           /* the same; PIRN_IN_PROGRESS while one is at work, PIRN_OK before the first */
  char path[16];                /* of the latest: "self", "ipc" or "fabric"; "" if it took none */
  char text[256];               /* why the latest failed; "" if it did not */
  uint32_t reserved;
} pirn_trigger_info;

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a trigger of a prepared list, which must not be released before it. Does all that may take time or make a
 * device wait (opens windows, maps memory, loads kernels): do it before streams wait for pirn. Of params, which may be
 * NULL, each post takes notify (copied), timeout_ns and path; PIRN_TRANSFER_QUEUED is INVALID. Blocks up to timeout_ns.
 * UNAVAILABLE: no device's runtime is loaded in this process, or the demanded path is not there. TIMEOUT: a window of the
 * list does not open. */
PIRN_API pirn_status pirn_trigger_create(pirn_prepared *prepared, const pirn_transfer_params *params,
                                         pirn_trigger **trigger);

/* The stream posts the list when it comes here. UNAVAILABLE: its device cannot wait for words of memory. */
PIRN_API pirn_status pirn_stream_post(pirn_trigger *trigger, void *stream);

/* The stream waits here until the latest post that it, or a stream it has waited for, has come by is terminal; does
 * not wait if there was none. */
PIRN_API pirn_status pirn_stream_wait(pirn_trigger *trigger, void *stream);

/* The stream waits here until the transfer, which the host started, is terminal. Not for streams that are captured: the
 * transfer happens once (INVALID). The id may be released at any time afterwards. */
PIRN_API pirn_status pirn_stream_wait_transfer(pirn_endpoint *endpoint, pirn_transfer transfer, void *stream);

PIRN_API pirn_status pirn_trigger_get_info(pirn_trigger *trigger, pirn_trigger_info *info);

/* Stops the post that is at work, if one is, and waits until it is terminal and quiet; returns its status (CANCELLED, or
 * what it came to first), PIRN_OK if none was. Streams go on; later posts are as if nothing had been. */
PIRN_API pirn_status pirn_trigger_cancel(pirn_trigger *trigger);

/* Cancels what is at work and lets go a stream that waits. No stream may come to a node of it any more: wait for the
 * streams, and destroy the graphs, first. NULL is fine. */
PIRN_API pirn_status pirn_trigger_release(pirn_trigger *trigger);

#ifdef __cplusplus
}
#endif
#endif
