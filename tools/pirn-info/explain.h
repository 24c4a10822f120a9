// SPDX-License-Identifier: Apache-2.0
// Why each provider, NIC and path was or was not chosen, in pirn's words.
#pragma once

#include <pirn/pirn.h>

#include <string>

constexpr int exit_not_reached = 2;
constexpr int exit_usage = 64;  // EX_USAGE

// `what`: a provider, "all", or HOST:PORT of a listening endpoint, which is connected to within `timeout_s` and left
// again. Prints to standard output, and what went wrong to standard error. The exit status.
int explain(pirn_context *context, const std::string &what, double timeout_s);
