/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/pirn.h: the whole C interface of pirn. */
#ifndef PIRN_PIRN_H
#define PIRN_PIRN_H

#include <pirn/version.h>
#include <pirn/status.h>
#include <pirn/context.h>
#include <pirn/info.h>
#include <pirn/endpoint.h>
#include <pirn/peer.h>
#include <pirn/memory.h>
#include <pirn/transfer.h>
#include <pirn/stream.h>

#endif
