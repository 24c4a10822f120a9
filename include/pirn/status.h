/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/status.h: what a call or a transfer came to.
 *
 * Codes are grouped by what the caller does next. Zero is success, one positive
 * value means "still running", negative values are errors. */
#ifndef PIRN_STATUS_H
#define PIRN_STATUS_H

#include <pirn/version.h>

typedef int32_t pirn_status;

#define PIRN_OK ((pirn_status)0)
#define PIRN_IN_PROGRESS ((pirn_status)1) /* not finished yet; not an error */

/* Try again, later or with more time. */
#define PIRN_ERR_AGAIN ((pirn_status)-1)   /* a bounded resource is used up right now */
#define PIRN_ERR_TIMEOUT ((pirn_status)-2) /* the deadline passed */

/* Fix the call. */
#define PIRN_ERR_INVALID ((pirn_status)-10) /* an argument, setting or blob is malformed */
#define PIRN_ERR_RANGE ((pirn_status)-11)   /* outside the region, window or list */
#define PIRN_ERR_ACCESS ((pirn_status)-12)  /* the window does not grant this access */
#define PIRN_ERR_BUSY ((pirn_status)-13)    /* the object is in use */
#define PIRN_ERR_TOO_SMALL ((pirn_status)-14) /* the buffer is too small; the needed size was stored */

/* Give up this operation or this peer. */
#define PIRN_ERR_PEER_LOST ((pirn_status)-20)   /* the peer died, hung or became unreachable */
#define PIRN_ERR_REFUSED ((pirn_status)-21)     /* the peer refused us, or failed to authenticate */
#define PIRN_ERR_WINDOW_GONE ((pirn_status)-22) /* the window was withdrawn by its owner */
#define PIRN_ERR_CANCELLED ((pirn_status)-23)   /* cancelled by the caller */

/* This machine lacks something. */
#define PIRN_ERR_UNAVAILABLE ((pirn_status)-30) /* provider, NIC, device or feature is not usable here */
#define PIRN_ERR_NO_MEMORY ((pirn_status)-31)   /* memory, descriptors or registrations are used up */
#define PIRN_ERR_IO ((pirn_status)-32)          /* the provider or the operating system failed; see the text */

/* A bug in pirn: please report it. */
#define PIRN_ERR_INTERNAL ((pirn_status)-40)

#ifdef __cplusplus
extern "C" {
#endif

/* Short constant text for a status ("peer lost"). Never NULL. Any thread. */
PIRN_API const char *pirn_status_string(pirn_status status);

/* Text of the last error that a pirn call returned on the calling thread, naming
 * the value at fault and what is allowed. "" if there was none. Valid until the
 * next failing pirn call on the same thread. */
PIRN_API const char *pirn_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
