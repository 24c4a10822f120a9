// SPDX-License-Identifier: Apache-2.0
// A record of what NICs do, for those who measure what a fault costs: PIRN_SIM_TRACE names a file, which all processes
// append to. One line each, times in ns of CLOCK_MONOTONIC, offsets and lengths in bytes:
//   posted TIME RAIL FIRST_BYTE_AT OFFSET LENGTH   a one-sided operation was taken; when its first byte leaves
//   ended TIME RAIL ERROR OFFSET LENGTH            it was handed back
//   fault TIME RAIL WHAT                           dies, stalls, error
#pragma once

#include <cstddef>
#include <cstdint>

namespace pirn::sim_nic {

bool tracing();
void trace_posted(size_t rail, uint64_t first_byte_at, uint64_t offset, uint64_t length);
void trace_ended(size_t rail, int error, uint64_t offset, uint64_t length);
void trace_fault(size_t rail, const char *what);

}  // namespace pirn::sim_nic
