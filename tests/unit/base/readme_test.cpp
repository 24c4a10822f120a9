// SPDX-License-Identifier: Apache-2.0
// The README's table of settings is checked against the one list. On a mismatch the right table is printed.
#include "../check.h"

#include "base/settings.h"

#include <fstream>
#include <sstream>

using namespace pirn;

namespace {

const char *readme_path;

std::string wanted_table() {
  Result<LoadedSettings> loaded = load_settings(nullptr, {});
  std::string table = "\n| setting | default | allowed | meaning |\n|---|---|---|---|\n";
  for (const SettingReport &row : loaded.value().report) {
    const std::string shown = row.default_value.empty() ? "empty" : row.default_value;
    table += "| `" + row.name + "` | " + shown + " | " + row.allowed + " | " + row.doc + " |\n";
  }
  return table;
}

std::string between(const std::string &text, const std::string &begin, const std::string &end) {
  const size_t from = text.find(begin);
  const size_t to = text.find(end);
  if (from == std::string::npos || to == std::string::npos || to < from + begin.size()) return "markers are missing";
  return text.substr(from + begin.size(), to - from - begin.size());
}

}  // namespace

static void readme__table_of_settings__is_the_one_list(void **) {
  std::ifstream file(readme_path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string wanted = wanted_table();
  const std::string found = between(text.str(), "<!-- settings -->", "<!-- /settings -->");
  if (found == wanted) return;
  std::fprintf(stderr, "<!-- settings -->%s<!-- /settings -->\n", wanted.c_str());
  fail_test("%s has another table of settings than the one above", readme_path);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  readme_path = argv[1];
  const CMUnitTest tests[] = {cmocka_unit_test(readme__table_of_settings__is_the_one_list)};
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
