/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/memory.h: registered local memory (region) and remote memory (window).
 *
 * A region allows local use only. Remote access exists only inside a window that
 * was advertised, with exactly its permission, until it is withdrawn: the
 * registration behind the window enforces this at the target. Any thread. */
#ifndef PIRN_MEMORY_H
#define PIRN_MEMORY_H

#include <pirn/peer.h>

typedef struct pirn_region pirn_region;
typedef struct pirn_window pirn_window;

#define PIRN_ACCESS_READ 1u  /* the peer may read */
#define PIRN_ACCESS_WRITE 2u /* the peer may write */

typedef struct pirn_memory {
  void *address;
  uint64_t length; /* bytes, at least 1 */
} pirn_memory;

#define PIRN_MEMORY_AUTO 0u   /* found out by asking the device runtimes that the process has loaded */
#define PIRN_MEMORY_HOST 1u   /* not asked */
#define PIRN_MEMORY_DEVICE 2u /* an error if it is not */

typedef struct pirn_region_params {
  size_t struct_size;
  uint32_t kind; /* PIRN_MEMORY_* */
  uint32_t reserved;
} pirn_region_params;

#ifdef __cplusplus
extern "C" {
#endif

/* Allocates memory that other processes of this host can map when a window of it is advertised: the nearest path between
 * them. device: "host", or a device by name ("cuda:0"); NULL: "host". Rounded up to whole pages or chunks (device memory:
 * 2 MiB as a rule); device memory is open to every device that can reach it. Not registered. Errors: INVALID (no such
 * name), UNAVAILABLE (no such device, and why), NO_MEMORY. */
PIRN_API pirn_status pirn_memory_alloc(pirn_context *context, const char *device, uint64_t length, void **address);

/* Frees it. No region may hold it any more and no device may be using it. INVALID: not from pirn_memory_alloc. NULL is
 * fine. */
PIRN_API pirn_status pirn_memory_free(pirn_context *context, void *address);

/* Registers memory, which must stay mapped until the region is deregistered.
 * The same range again is cheap. params may be NULL. */
PIRN_API pirn_status pirn_region_register(pirn_endpoint *endpoint, void *address, uint64_t length,
                                          const pirn_region_params *params, pirn_region **region);

/* Registers count ranges, all or none. regions: count handles. */
PIRN_API pirn_status pirn_region_register_many(pirn_endpoint *endpoint, const pirn_memory *ranges, uint64_t count,
                                               const pirn_region_params *params, pirn_region **regions);

/* BUSY while a transfer uses it or a window of it is advertised. NULL is fine. */
PIRN_API pirn_status pirn_region_deregister(pirn_region *region);

/* Opens [offset, offset + length) of the region to every peer that holds the blob.
 * access: PIRN_ACCESS_* bits. The blob is binary and self-contained; *blob_length as in
 * pirn_endpoint_metadata; with TOO_SMALL no window is made. *window_id names it for withdrawal. */
PIRN_API pirn_status pirn_region_advertise(pirn_region *region, uint64_t offset, uint64_t length, uint32_t access,
                                           void *blob, size_t *blob_length, uint64_t *window_id);

/* Ends remote access. Peers that imported the window are asked to finish; those
 * that do not answer within the timeout are cut off. When it returns nothing remote
 * touches the memory any more. TIMEOUT: the window is withdrawn, but a process of this host that did not answer
 * has the memory mapped (path "ipc"), which nobody can take from it: do not use the memory for anything else while
 * it lives. */
PIRN_API pirn_status pirn_region_withdraw(pirn_region *region, uint64_t window_id, uint64_t timeout_ns);

/* Imports a window blob (binary or text) of this peer; returns at once. Transfers
 * posted before the owner has confirmed it wait for that. INVALID: malformed or another endpoint's. */
PIRN_API pirn_status pirn_window_import(pirn_peer *peer, const void *blob, size_t length, pirn_window **window);

/* BUSY while transfers use it. NULL is fine. */
PIRN_API pirn_status pirn_window_close(pirn_window *window);

/* Length and access bits of an imported window; outputs may be NULL. */
PIRN_API pirn_status pirn_window_get(pirn_window *window, uint64_t *length, uint32_t *access);

/* Text form of a metadata or window blob: printable, one line, starts with
 * "pirn:". *length counts the terminating zero. */
PIRN_API pirn_status pirn_blob_to_text(const void *blob, size_t blob_length, char *text, size_t *length);
PIRN_API pirn_status pirn_blob_from_text(const char *text, void *blob, size_t *blob_length);

#ifdef __cplusplus
}
#endif
#endif
