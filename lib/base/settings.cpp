// SPDX-License-Identifier: Apache-2.0
#include "base/settings.h"

#include "base/settings_parse.h"
#include "base/text.h"

#include <pirn/info.h>

#include <algorithm>
#include <cctype>
#include <cinttypes>
#include <cstring>

namespace pirn {

namespace {

enum class Kind { text, choice, count, size, time };

struct Row {
  Kind kind;
  const char *name;  // without PIRN_
  const char *default_value;
  const char *allowed;  // text and choice
  uint64_t min, max;    // count, size and time
  const char *doc;
  std::string Settings::*text_field;
  uint64_t Settings::*number_field;
};

#define PIRN_SETTING_TEXT(field, name, default_value, allowed, doc) \
  {Kind::text, name, default_value, allowed, 0, 0, doc, &Settings::field, nullptr},
#define PIRN_SETTING_CHOICE(field, name, default_value, allowed, doc) \
  {Kind::choice, name, default_value, allowed, 0, 0, doc, &Settings::field, nullptr},
#define PIRN_SETTING_COUNT(field, name, default_value, min, max, doc) \
  {Kind::count, name, default_value, nullptr, min, max, doc, nullptr, &Settings::field},
#define PIRN_SETTING_SIZE(field, name, default_value, min, max, doc) \
  {Kind::size, name, default_value, nullptr, min, max, doc, nullptr, &Settings::field},
#define PIRN_SETTING_TIME(field, name, default_value, min, max, doc) \
  {Kind::time, name, default_value, nullptr, min, max, doc, nullptr, &Settings::field},
constexpr Row rows[] = {
#include "base/settings_table.inc"
};
#undef PIRN_SETTING_TEXT
#undef PIRN_SETTING_CHOICE
#undef PIRN_SETTING_COUNT
#undef PIRN_SETTING_SIZE
#undef PIRN_SETTING_TIME

constexpr size_t row_count = std::size(rows);
constexpr const char prefix[] = "PIRN_";
constexpr size_t prefix_length = sizeof(prefix) - 1;

std::string format_number(Kind kind, uint64_t value) {
  if (kind == Kind::size) return format_size(value);
  if (kind == Kind::time) return format_time(value);
  return text("%" PRIu64, value);
}

std::string allowed_text(const Row &row) {
  if (row.kind == Kind::text) return row.allowed;
  if (row.kind != Kind::choice) return format_number(row.kind, row.min) + ".." + format_number(row.kind, row.max);
  std::string result;
  for (const char *c = row.allowed; *c != 0; ++c) result += *c == '|' ? std::string(", ") : std::string(1, *c);
  return result;
}

bool is_choice(const Row &row, const std::string &value) {
  const std::string list = text("|%s|", row.allowed);
  return !value.empty() && value.find('|') == std::string::npos && list.find("|" + value + "|") != std::string::npos;
}

Result<uint64_t> parse_number(Kind kind, const std::string &value) {
  if (kind == Kind::size) return parse_size(value);
  if (kind == Kind::time) return parse_time(value);
  return parse_count(value);
}

Status set_number(const Row &row, const std::string &value, Settings &settings) {
  Result<uint64_t> number = parse_number(row.kind, value);
  const std::string allowed = allowed_text(row);
  if (!number.is_ok() && number.error().code == PIRN_ERR_INVALID)
    return fail(PIRN_ERR_INVALID, "PIRN_%s=%s; allowed: %s", row.name, number.error().text.c_str(), allowed.c_str());
  if (!number.is_ok() || number.value() < row.min || number.value() > row.max)
    return fail(PIRN_ERR_RANGE, "PIRN_%s=%s is out of range: %s", row.name, quotable(value).c_str(), allowed.c_str());
  settings.*row.number_field = number.value();
  return Status::ok();
}

Status set_value(const Row &row, const std::string &value, Settings &settings) {
  if (row.text_field == nullptr) return set_number(row, value, settings);
  if (row.kind == Kind::choice && !is_choice(row, value))
    return fail(PIRN_ERR_INVALID, "PIRN_%s=%s is not allowed; allowed: %s", row.name, quotable(value).c_str(),
                allowed_text(row).c_str());
  settings.*row.text_field = value;
  return Status::ok();
}

std::string upper(std::string name) {
  for (char &c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

const Row *find_row(const std::string &name) {
  const Row *end = rows + row_count;
  const Row *found = std::find_if(rows, end, [&](const Row &row) { return name == row.name; });
  return found == end ? nullptr : found;
}

// Says that `name` (as its writer spelt it, with `lead` before it) is unknown. A real name is proposed
// if at most a third of the letters differ: a proposal out of the blue would mislead.
std::string unknown_name(const char *lead, const std::string &name) {
  constexpr size_t longest_sensible = 64;
  std::string said = text("%s%s is not a setting", lead, quotable(name).c_str());
  if (name.size() > longest_sensible) return said;
  const std::string wanted = upper(name);
  const Row *nearest = nullptr;
  size_t nearest_distance = SIZE_MAX;
  for (const Row &row : rows) {
    const size_t distance = edit_distance(wanted, row.name);
    if (distance < nearest_distance) {
      nearest = &row;
      nearest_distance = distance;
    }
  }
  if (nearest_distance * 3 > wanted.size()) return said;
  return said + text("; did you mean %s%s?", lead, nearest->name);
}

using Sources = std::vector<uint32_t>;  // per row

Status load_environment(const char *const *environment, LoadedSettings &loaded, Sources &sources) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const char *equals = std::strchr(*environment, '=');
    if (equals == nullptr || std::strncmp(*environment, prefix, prefix_length) != 0) continue;
    const std::string name(*environment + prefix_length, equals);
    const Row *row = find_row(name);
    if (row == nullptr) {
      loaded.warnings.push_back(unknown_name(prefix, name));
      continue;
    }
    Status status = set_value(*row, equals + 1, loaded.values);
    if (!status.is_ok()) return status;
    sources[static_cast<size_t>(row - rows)] = PIRN_SOURCE_ENVIRONMENT;
  }
  return Status::ok();
}

Status load_params(const std::vector<std::string> &params, LoadedSettings &loaded, Sources &sources) {
  for (size_t i = 0; i < params.size(); ++i) {
    const size_t equals = params[i].find('=');
    // The text itself may be a key: it is not quoted.
    if (equals == std::string::npos) return fail(PIRN_ERR_INVALID, "settings[%zu] is not of the form NAME=VALUE", i);
    const std::string name = params[i].substr(0, equals);
    const Row *row = find_row(upper(name));
    if (row == nullptr) return fail(PIRN_ERR_INVALID, "%s", unknown_name("", name).c_str());
    Status status = set_value(*row, params[i].substr(equals + 1), loaded.values);
    if (!status.is_ok()) return status;
    sources[static_cast<size_t>(row - rows)] = PIRN_SOURCE_PARAMS;
  }
  return Status::ok();
}

std::string shown_value(const Row &row, const Settings &settings) {
  if (row.number_field != nullptr) return format_number(row.kind, settings.*row.number_field);
  const std::string &value = settings.*row.text_field;
  const bool secret = row.text_field == &Settings::key;
  return secret && !value.empty() ? "***" : value;
}

}  // namespace

Result<LoadedSettings> load_settings(const char *const *environment, const std::vector<std::string> &params) {
  LoadedSettings loaded{};
  Sources sources(row_count, PIRN_SOURCE_DEFAULT);
  Status status;
  for (const Row &row : rows) {
    status = set_value(row, row.default_value, loaded.values);
    if (!status.is_ok()) return status;
  }
  status = load_environment(environment, loaded, sources);
  if (status.is_ok()) status = load_params(params, loaded, sources);
  if (!status.is_ok()) return status;
  if (!loaded.values.key.empty() && !loaded.values.key_file.empty())
    return fail(PIRN_ERR_INVALID, "PIRN_KEY and PIRN_KEY_FILE are both set: set one of them");
  for (size_t i = 0; i < row_count; ++i) {
    const Row &row = rows[i];
    loaded.report.push_back({text("%s%s", prefix, row.name), shown_value(row, loaded.values), row.default_value,
                             allowed_text(row), row.doc, sources[i]});
  }
  return loaded;
}

}  // namespace pirn
