// SPDX-License-Identifier: Apache-2.0
// Values of settings as people write them, and back. Pure functions, any thread.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>

namespace pirn {

// Decimal digits only.
Result<uint64_t> parse_count(const std::string &value);

// In the largest unit that loses nothing: "4K", "1537", "50us", "24h", "0".
std::string format_size(uint64_t bytes);
std::string format_time(uint64_t ns);

// A value as an error quotes it: one printable line of bounded length.
std::string quotable(const std::string &value);

// Insertions, deletions, replacements and swaps of neighbours that lead from one name to the other.
size_t edit_distance(const std::string &from, const std::string &to);

}  // namespace pirn
