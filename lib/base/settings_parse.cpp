// SPDX-License-Identifier: Apache-2.0
#include "base/settings_parse.h"

#include "base/clock.h"
#include "base/settings.h"
#include "base/text.h"

#include <algorithm>
#include <cctype>
#include <cinttypes>
#include <vector>

namespace pirn {

namespace {

struct Unit {
  const char *name;
  uint64_t factor;
};

constexpr uint64_t kib = 1024;
// Smallest first; a format walks them backwards. Units for bytes are compared in lower case.
constexpr Unit size_units[] = {
    {"", 1},  {"k", kib},   {"m", kib *kib},   {"g", kib *kib *kib},   {"t", kib *kib *kib *kib},
    {"b", 1}, {"kib", kib}, {"mib", kib *kib}, {"gib", kib *kib *kib}, {"tib", kib *kib *kib *kib}};
constexpr size_t short_size_units = 5;
constexpr Unit time_units[] = {{"ns", 1},       {"us", ns_per_us},      {"ms", ns_per_ms},
                               {"s", ns_per_s}, {"min", 60 * ns_per_s}, {"h", 3600 * ns_per_s}};

struct Number {
  uint64_t value = 0;
  std::string unit;  // lower case, without the blanks before it
  bool valid = false;
  bool too_large = false;
};

Number split(const std::string &value) {
  Number number;
  size_t at = 0;
  while (at < value.size() && value[at] >= '0' && value[at] <= '9') {
    const auto digit = static_cast<uint64_t>(value[at++] - '0');
    number.too_large |= __builtin_mul_overflow(number.value, uint64_t{10}, &number.value);
    number.too_large |= __builtin_add_overflow(number.value, digit, &number.value);
    number.valid = true;
  }
  while (at < value.size() && value[at] == ' ') ++at;
  number.unit = value.substr(at);
  for (char &c : number.unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return number;
}

template <size_t N>
Result<uint64_t> scale(const std::string &value, const Number &number, const Unit (&units)[N], const char *usage) {
  const auto *unit = std::find_if(units, units + N, [&](const Unit &u) { return number.unit == u.name; });
  if (!number.valid || unit == units + N) return fail(PIRN_ERR_INVALID, "%s %s", quotable(value).c_str(), usage);
  uint64_t result = 0;
  if (number.too_large || __builtin_mul_overflow(number.value, unit->factor, &result))
    return fail(PIRN_ERR_RANGE, "%s is too large", quotable(value).c_str());
  return result;
}

std::string format_in(uint64_t value, const Unit *units, size_t count) {
  if (value == 0) return "0";
  size_t best = count - 1;
  while (best > 0 && value % units[best].factor != 0) --best;
  return text("%" PRIu64 "%s", value / units[best].factor, units[best].name);
}

}  // namespace

Result<uint64_t> parse_count(const std::string &value) {
  constexpr Unit none[] = {{"", 1}};
  return scale(value, split(value), none, "is not a number: write decimal digits");
}

Result<uint64_t> parse_size(const std::string &value) {
  return scale(value, split(value), size_units, "is not a size: write a number and B, K, M, G or T (powers of 1024)");
}

Result<uint64_t> parse_time(const std::string &value) {
  Number number = split(value);
  if (number.valid && number.value == 0 && !number.too_large && number.unit.empty()) return uint64_t{0};
  return scale(value, number, time_units, "is not a time: write a number and ns, us, ms, s, min or h");
}

std::string format_size(uint64_t bytes) {
  std::string result = format_in(bytes, size_units, short_size_units);
  for (char &c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

std::string format_time(uint64_t ns) { return format_in(ns, time_units, std::size(time_units)); }

std::string quotable(const std::string &value) {
  constexpr size_t limit = 100;
  std::string shown = value.substr(0, limit);
  for (char &c : shown) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return value.size() > limit ? shown + "..." : shown;
}

size_t edit_distance(const std::string &from, const std::string &to) {
  // Three rows of the classic table: a swap looks two rows back.
  std::vector<size_t> before(to.size() + 1), last(to.size() + 1), row(to.size() + 1);
  for (size_t j = 0; j <= to.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t replace = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[to.size()];
}

}  // namespace pirn
