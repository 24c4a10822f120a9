// SPDX-License-Identifier: Apache-2.0
// Text: taking apart what the kernel, libfabric and people write, and putting numbers into words.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace doctor {

std::vector<std::string> split(const std::string &text, char separator);  // no empty parts
std::vector<std::string> words(const std::string &text);                  // by white space
std::string join(const std::vector<std::string> &parts, const char *between);
bool contains(const std::vector<std::string> &list, const std::string &item);

std::optional<int64_t> parse_number(const std::string &text);  // decimal, all of it

struct Version {
  int major = 0, minor = 0;
  auto operator<=>(const Version &) const = default;
};
std::optional<Version> parse_version(const std::string &text);  // "1.17.0" -> {1, 17}

// "400 Gb/sec (4X NDR)" -> 400e9; 0 if it says nothing.
uint64_t parse_rate(const std::string &text);
// "5: LinkUp" -> "LinkUp".
std::string after_colon(const std::string &text);

size_t edit_distance(const std::string &a, const std::string &b);

std::string bytes_text(uint64_t bytes);          // "64 MiB"; System::unlimited -> "unlimited"
std::string speed_text(uint64_t bits_per_second);  // "400 Gb/s"

}  // namespace doctor
