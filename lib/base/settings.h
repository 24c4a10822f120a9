// SPDX-License-Identifier: Apache-2.0
// Settings: settings_table.inc is the only list. It generates the fields below,
// parsing, range checks, `pirn-info -c`, the README table and the search for misspelt names.
#pragma once

#include "base/log.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace pirn {

struct Settings {
#define PIRN_SETTING_TEXT(field, name, default_value, allowed, doc) std::string field;
#define PIRN_SETTING_CHOICE(field, name, default_value, allowed, doc) std::string field;
#define PIRN_SETTING_COUNT(field, name, default_value, min, max, doc) uint64_t field;
#define PIRN_SETTING_SIZE(field, name, default_value, min, max, doc) uint64_t field;
#define PIRN_SETTING_TIME(field, name, default_value, min, max, doc) uint64_t field;  // ns
#include "base/settings_table.inc"
#undef PIRN_SETTING_TEXT
#undef PIRN_SETTING_CHOICE
#undef PIRN_SETTING_COUNT
#undef PIRN_SETTING_SIZE
#undef PIRN_SETTING_TIME
};

// One row as reported to users.
struct SettingReport {
  std::string name;  // "PIRN_CHUNK_SIZE"
  std::string value;
  std::string default_value;
  std::string allowed;
  std::string doc;
  uint32_t source;  // PIRN_SOURCE_*
};

struct LoadedSettings {
  Settings values;
  std::vector<SettingReport> report;  // in table order
  std::vector<std::string> warnings;  // misspelt PIRN_* names, with the nearest real one
};

// Defaults, overlaid with PIRN_* of `environment` (a NULL-terminated environ), overlaid with
// "NAME=VALUE" params. Unknown environment names are warnings, unknown params are errors. Malformed
// or out-of-range values are errors that name the setting, the value and what is allowed.
Result<LoadedSettings> load_settings(const char *const *environment, const std::vector<std::string> &params);

// "4K", "64 MiB", "8m" -> bytes; "250ms", "10s", "50us" -> ns. Exposed for tests, fuzzing and tools' messages.
Result<uint64_t> parse_size(const std::string &value);
Result<uint64_t> parse_time(const std::string &value);

}  // namespace pirn
