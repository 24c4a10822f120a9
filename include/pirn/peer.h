/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/peer.h: a remote endpoint.
 *
 * One remote endpoint is one peer object, however it was met: connecting,
 * accepting or adding it again returns the same handle, counted; each needs one
 * pirn_peer_close. Traffic flows both ways whoever connected. Any thread. */
#ifndef PIRN_PEER_H
#define PIRN_PEER_H

#include <pirn/endpoint.h>

#define PIRN_PEER_CONNECTING 0u
#define PIRN_PEER_UP 1u
#define PIRN_PEER_SUSPECT 2u /* trouble was seen; being probed; transfers wait */
#define PIRN_PEER_CLOSED 3u  /* closed in order, by either side */
#define PIRN_PEER_LOST 4u    /* died, hung or became unreachable; connect again to get a new peer */

typedef struct pirn_peer_info {
  size_t struct_size;
  uint8_t instance[16];   /* identity of the remote endpoint */
  uint32_t state;         /* PIRN_PEER_* */
  uint32_t rails;         /* rails in use towards it */
  char provider[32];      /* "tcp" */
  char path[16];          /* of the latest transfer: "self", "ipc" or "fabric"; "fabric" before the first */
  char address[64];       /* where it was reached, or its first rail's address */
  uint64_t in_flight;     /* transfers not yet terminal */
  uint64_t bytes_written; /* to the peer, by completed transfers */
  uint64_t bytes_read;    /* from the peer, by completed transfers */
  uint32_t spare_rails;   /* of the rails in use: through a spare, here or there, because no other works */
  uint32_t reserved;
} pirn_peer_info;

#ifdef __cplusplus
extern "C" {
#endif

/* Connects to a listening endpoint and waits until traffic can flow. Errors: TIMEOUT,
 * REFUSED (nobody listens, wrong key, incompatible), UNAVAILABLE (no provider in
 * common), INVALID. */
PIRN_API pirn_status pirn_peer_connect(pirn_endpoint *endpoint, const char *address, uint64_t timeout_ns,
                                       pirn_peer **peer);

/* Adds a peer from its metadata blob (binary or text) and returns at once; the hello runs in the
 * background, transfers posted meanwhile wait for it. */
PIRN_API pirn_status pirn_peer_add(pirn_endpoint *endpoint, const void *blob, size_t length, pirn_peer **peer);

/* Waits until the peer is up. TIMEOUT, PEER_LOST, REFUSED. */
PIRN_API pirn_status pirn_peer_wait(pirn_peer *peer, uint64_t timeout_ns);

/* Gives back one handle. With the last one, transfers to the peer end CANCELLED,
 * its windows are closed, and the other side is told. NULL is fine. */
PIRN_API pirn_status pirn_peer_close(pirn_peer *peer);

PIRN_API pirn_status pirn_peer_get_info(pirn_peer *peer, pirn_peer_info *info);

/* The state of the peer; each path (rail here, rail there) with what it does: in use, paused (why, since when, when it
 * is tried again), a detour; and why others were not made or chosen. Text for people, a line each, which may change from
 * release to release. Returns at once, makes no progress. *length as in pirn_endpoint_explain. */
PIRN_API pirn_status pirn_peer_explain(pirn_peer *peer, char *buffer, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
