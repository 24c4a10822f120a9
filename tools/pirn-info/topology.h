// SPDX-License-Identifier: Apache-2.0
// Devices, NICs, how far they are from each other, and the NICs that pirn prefers, as text or as a graph for DOT.
#pragma once

#include <pirn/pirn.h>

#include <nlohmann/json.hpp>

// `facts` as of collect(). Both throw std::runtime_error.
void print_topology(pirn_context *context, const nlohmann::json &facts);
void print_topology_dot(pirn_context *context, const nlohmann::json &facts);
