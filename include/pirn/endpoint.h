/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/endpoint.h: one device's address on the network.
 *
 * An endpoint owns rails (one per NIC), a listener, its peers, regions and
 * transfers. Every function may be called from any thread, several at once,
 * except pirn_endpoint_close, which must be the last call on the endpoint.
 *
 * Timeouts are in nanoseconds and relative; 0 means the default from the
 * settings; no wait is unbounded. */
#ifndef PIRN_ENDPOINT_H
#define PIRN_ENDPOINT_H

#include <pirn/context.h>

typedef struct pirn_endpoint pirn_endpoint;
typedef struct pirn_peer pirn_peer;

#define PIRN_PROGRESS_DEFAULT 0u /* as set by PIRN_PROGRESS */
#define PIRN_PROGRESS_THREAD 1u  /* a thread of pirn's own: spins while busy, sleeps while idle */
#define PIRN_PROGRESS_SPIN 2u    /* a thread of pirn's own that never sleeps */
#define PIRN_PROGRESS_MANUAL 3u  /* only inside calls of this endpoint; the caller must call pirn_endpoint_progress */

typedef struct pirn_endpoint_params {
  size_t struct_size;
  const char *device;   /* whose memory it mainly serves: "host" or a device ("cuda:0"), which decides what NICs are near; NULL: "host" */
  const char *provider; /* demand a provider ("tcp"); NULL: as set by PIRN_PROVIDER. A demand that cannot be met fails, it never falls back */
  const char *nics;     /* demand NICs: list of names, globs, addresses or PCI addresses; NULL: as set by PIRN_NICS */
  uint32_t progress;    /* PIRN_PROGRESS_* */
  uint32_t reserved;
} pirn_endpoint_params;

#ifdef __cplusplus
extern "C" {
#endif

/* Opens an endpoint. params may be NULL. Errors: UNAVAILABLE (text: reason for
 * each provider tried), INVALID, NO_MEMORY, IO. */
PIRN_API pirn_status pirn_endpoint_open(pirn_context *context, const pirn_endpoint_params *params,
                                        pirn_endpoint **endpoint);

/* Ends every transfer (CANCELLED), tells the peers, closes the endpoint and every
 * handle made from it: peers, regions, windows, prepared transfers. When it
 * returns nothing touches registered memory any more. NULL is fine. */
PIRN_API pirn_status pirn_endpoint_close(pirn_endpoint *endpoint);

/* Writes the metadata blob that lets another process add this endpoint with
 * pirn_peer_add. *length: in: room, out: size. TOO_SMALL stores the needed size;
 * buffer may be NULL to ask for it. The blob is binary and self-contained; see
 * pirn_blob_to_text for a text form. */
PIRN_API pirn_status pirn_endpoint_metadata(pirn_endpoint *endpoint, void *buffer, size_t *length);

/* Which provider and NICs it opened and why, how each rail fares, and why each other provider and NIC was not chosen:
 * text for people, a line each, which may change from release to release. Returns at once, makes no progress. *length
 * as in pirn_endpoint_metadata, with the terminating zero; the text may grow between two calls. */
PIRN_API pirn_status pirn_endpoint_explain(pirn_endpoint *endpoint, char *buffer, size_t *length);

/* Starts to listen for pirn_peer_connect: "host:port", "[v6]:port", ":port" (all
 * addresses); port 0 takes a free one, see pirn_endpoint_address. Peers that
 * connect wait for pirn_endpoint_accept unless background accept is on. One listener
 * an endpoint (BUSY). */
PIRN_API pirn_status pirn_endpoint_listen(pirn_endpoint *endpoint, const char *address);

/* Writes "host:port" of the listener with its real port (zero-terminated; *length
 * counts the zero). For a listener on all addresses host is this machine's
 * preferred address. BUSY if not listening. */
PIRN_API pirn_status pirn_endpoint_address(pirn_endpoint *endpoint, char *buffer, size_t *length);

/* Waits for the next connected peer. TIMEOUT if none came. */
PIRN_API pirn_status pirn_endpoint_accept(pirn_endpoint *endpoint, uint64_t timeout_ns, pirn_peer **peer);

/* Called for each peer accepted in the background, on a thread that drives the
 * endpoint; must return soon and may not close the endpoint. The peer belongs to the
 * receiver as if pirn_endpoint_accept had returned it. */
typedef void (*pirn_accept_fn)(void *arg, pirn_peer *peer);

/* Turns background accept on: connecting peers are accepted without further calls.
 * callback may be NULL. */
PIRN_API pirn_status pirn_endpoint_accept_start(pirn_endpoint *endpoint, pirn_accept_fn callback, void *arg);
PIRN_API pirn_status pirn_endpoint_accept_stop(pirn_endpoint *endpoint);

/* Makes progress once without blocking. *events (may be NULL): how much happened; 0 means that it is
 * safe to sleep on pirn_endpoint_fd, if that was asked for before, for at most 10 ms (manual mode). */
PIRN_API pirn_status pirn_endpoint_progress(pirn_endpoint *endpoint, uint64_t *events);

/* A descriptor for poll/epoll/select, owned by the endpoint. With a progress
 * thread: readable while a completion or a notification waits to be taken. In manual mode:
 * readable also when pirn_endpoint_progress has work. Providers without descriptors
 * (shm) make no promise in manual mode: UNAVAILABLE. */
PIRN_API pirn_status pirn_endpoint_fd(pirn_endpoint *endpoint, int32_t *fd);

#ifdef __cplusplus
}
#endif
#endif
