// SPDX-License-Identifier: Apache-2.0
// One function per kind of test; each measures one size and returns its row. Throws Failure.
#pragma once

#include "../report.h"
#include "../session.h"

// write, read: one block an operation; vector, paged: options.blocks of them at random places.
Row run_transfers(Session &session, const std::string &test, uint64_t size);
// lat, read-lat: one blocking call after the other.
Row run_latency(Session &session, const std::string &test, uint64_t size);
Row run_notify(Session &session, uint64_t size);
// write, read, vector, paged with --stream or --graph: latency is of one at a time, from its launch until the stream is
// done; the rate is of all in the stream at once.
Row run_streamed(Session &session, const std::string &test, uint64_t size);
// New endpoint, connection, first 8 bytes written; latency is the whole of it.
Row run_connect(Session &session);
