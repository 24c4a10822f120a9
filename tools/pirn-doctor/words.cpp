// SPDX-License-Identifier: Apache-2.0
#include "words.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <sstream>

namespace doctor {

std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  while (start <= text.size()) {
    const size_t end = std::min(text.find(separator, start), text.size());
    if (end > start) parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

std::vector<std::string> words(const std::string &text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

std::string join(const std::vector<std::string> &parts, const char *between) {
  std::string result;
  for (const std::string &part : parts) result += (result.empty() ? "" : between) + part;
  return result;
}

bool contains(const std::vector<std::string> &list, const std::string &item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::optional<int64_t> parse_number(const std::string &text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Version> parse_version(const std::string &text) {
  const auto parts = split(text, '.');
  if (parts.size() < 2) return std::nullopt;
  const auto major = parse_number(parts[0]), minor = parse_number(parts[1]);
  if (!major || !minor) return std::nullopt;
  return Version{static_cast<int>(*major), static_cast<int>(*minor)};
}

uint64_t parse_rate(const std::string &text) {
  const auto parts = words(text);
  if (parts.size() < 2 || parts[1].rfind("Gb/s", 0) != 0) return 0;
  double value = 0;
  std::istringstream stream(parts[0]);
  stream.imbue(std::locale::classic());
  stream >> value;
  return stream && value > 0 && value < 1e9 ? static_cast<uint64_t>(value * 1e9) : 0;
}

std::string after_colon(const std::string &text) {
  const size_t colon = text.find(": ");
  return colon == std::string::npos ? text : text.substr(colon + 2);
}

size_t edit_distance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string bytes_text(uint64_t bytes) {
  if (bytes == UINT64_MAX) return "unlimited";
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
  return fmt::format("{:.4g} {}", value, units[unit]);
}

std::string speed_text(uint64_t bits_per_second) {
  return fmt::format("{:g} Gb/s", static_cast<double>(bits_per_second) * 1e-9);
}

}  // namespace doctor
