// SPDX-License-Identifier: Apache-2.0
// Lines of an environment; a line that starts with '+' is a parameter.
#include "base/settings.h"
#include "base/settings_parse.h"
#include "require.h"

#include <cstdint>

using namespace pirn;

namespace {

void check_value(const std::string &value) {
  Result<uint64_t> size = parse_size(value);
  if (size.is_ok()) REQUIRE(parse_size(format_size(size.value())).value() == size.value());
  Result<uint64_t> time = parse_time(value);
  if (time.is_ok()) REQUIRE(parse_time(format_time(time.value())).value() == time.value());
}

// What the report says must load to the same report.
void check_report(const LoadedSettings &loaded) {
  std::vector<std::string> params;
  for (const SettingReport &row : loaded.report) {
    if (row.name != "PIRN_KEY") params.push_back(row.name.substr(5) + "=" + row.value);
  }
  Result<LoadedSettings> again = load_settings(nullptr, params);
  REQUIRE(again.is_ok());
  for (size_t i = 0; i < loaded.report.size(); ++i) {
    if (loaded.report[i].name != "PIRN_KEY") REQUIRE(again.value().report[i].value == loaded.report[i].value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<std::string> lines, params;
  std::string line;
  for (size_t i = 0; i <= size; ++i) {
    if (i < size && data[i] != '\n' && data[i] != 0) {
      line += static_cast<char>(data[i]);
      continue;
    }
    if (!line.empty() && line[0] == '+') {
      params.push_back(line.substr(1));
    } else {
      lines.push_back(line);
    }
    check_value(line);
    line.clear();
  }
  std::vector<const char *> environment;
  for (const std::string &entry : lines) environment.push_back(entry.c_str());
  environment.push_back(nullptr);
  Result<LoadedSettings> loaded = load_settings(environment.data(), params);
  if (loaded.is_ok()) {
    check_report(loaded.value());
  } else {
    REQUIRE(!loaded.error().text.empty());
    REQUIRE(loaded.error().code == PIRN_ERR_INVALID || loaded.error().code == PIRN_ERR_RANGE);
  }
  return 0;
}
