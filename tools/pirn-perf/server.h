// SPDX-License-Identifier: Apache-2.0
// The partner: lends memory, fills and checks it on request, streams back for --bidir.
#pragma once

#include "options.h"

#include <atomic>
#include <functional>

// Listens on options.address, calls ready(host:port), then serves until a local client says quit or *stop is set.
// Throws Failure.
void serve(const Options &options, const std::function<void(const std::string &)> &ready, const std::atomic<bool> &stop);
