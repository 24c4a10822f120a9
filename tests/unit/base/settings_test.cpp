// SPDX-License-Identifier: Apache-2.0
#include "../check.h"

#include "base/clock.h"
#include "base/settings.h"

#include <pirn/info.h>

#include <set>

using namespace pirn;

namespace {

Result<LoadedSettings> load(std::vector<const char *> environment, const std::vector<std::string> &params = {}) {
  environment.push_back(nullptr);
  return load_settings(environment.data(), params);
}

const SettingReport &row(const LoadedSettings &loaded, const std::string &name) {
  for (const SettingReport &report : loaded.report) {
    if (report.name == name) return report;
  }
  fail_test("%s is not reported", name.c_str());
  std::abort();
}

void expect_error(Result<LoadedSettings> result, pirn_status code, const char *text) {
  assert_false(result.is_ok());
  assert_text(result.error().text, text);
  assert_int_equal(result.error().code, code);
}

}  // namespace

static void load__nothing_given__is_all_defaults(void **) {
  Result<LoadedSettings> result = load_settings(nullptr, {});
  assert_true(result.is_ok());
  const Settings &values = result.value().values;
  assert_text(values.provider, "auto");
  assert_text(values.nics, "");
  assert_int_equal(values.spin_time, 50 * ns_per_us);
  assert_int_equal(values.transfer_timeout, 30 * ns_per_s);
  assert_int_equal(values.transfer_retries, 3);
  assert_int_equal(values.chunk_size, 2 << 20);
  assert_int_equal(values.notification_memory, 64 << 20);
  assert_true(result.value().warnings.empty());
  for (const SettingReport &report : result.value().report) {
    assert_int_equal(report.source, PIRN_SOURCE_DEFAULT);
    assert_text(report.value, report.default_value);
    assert_int_equal(report.name.find("PIRN_"), 0);
    assert_true(report.doc.size() > 10);
    assert_true(!report.allowed.empty());
  }
}

static void load__environment_and_params__params_win_and_sources_are_told(void **) {
  Result<LoadedSettings> result =
      load({"PATH=/bin", "PIRN_PROVIDER=tcp", "PIRN_CHUNK_SIZE=64K", "PIRN_NICS=eth0,eth1=x", "PIRN_BARE"},
           {"chunk_size=1 MiB", "Heartbeat=100ms"});
  assert_text(result.status().text, "");
  const LoadedSettings &loaded = result.value();
  assert_text(loaded.values.provider, "tcp");
  assert_text(loaded.values.nics, "eth0,eth1=x");
  assert_int_equal(loaded.values.chunk_size, 1 << 20);
  assert_int_equal(loaded.values.heartbeat, 100 * ns_per_ms);
  assert_true(loaded.warnings.empty());
  assert_int_equal(row(loaded, "PIRN_PROVIDER").source, PIRN_SOURCE_ENVIRONMENT);
  assert_int_equal(row(loaded, "PIRN_CHUNK_SIZE").source, PIRN_SOURCE_PARAMS);
  assert_text(row(loaded, "PIRN_CHUNK_SIZE").value, "1M");
  assert_text(row(loaded, "PIRN_CHUNK_SIZE").default_value, "2M");
  assert_text(row(loaded, "PIRN_CHUNK_SIZE").allowed, "4K..1G");
  assert_text(row(loaded, "PIRN_HEARTBEAT").value, "100ms");
  assert_text(row(loaded, "PIRN_PROGRESS").allowed, "thread, spin, manual");
  assert_text(row(loaded, "PIRN_TRANSFER_TIMEOUT").allowed, "1ms..24h");
  assert_int_equal(row(loaded, "PIRN_SPIN_TIME").source, PIRN_SOURCE_DEFAULT);
}

static void load__same_param_twice__the_later_one_counts(void **) {
  Result<LoadedSettings> result = load({}, {"PROVIDER=tcp", "provider=shm"});
  assert_text(result.value().values.provider, "shm");
}

static void load__limits_themselves__are_allowed_and_one_beyond_is_not(void **) {
  assert_int_equal(load({"PIRN_CHUNK_SIZE=4096"}).value().values.chunk_size, 4096);
  assert_int_equal(load({"PIRN_CHUNK_SIZE=1G"}).value().values.chunk_size, 1 << 30);
  expect_error(load({"PIRN_CHUNK_SIZE=4095"}), PIRN_ERR_RANGE, "PIRN_CHUNK_SIZE=4095 is out of range: 4K..1G");
  expect_error(load({"PIRN_CHUNK_SIZE=12G"}), PIRN_ERR_RANGE, "PIRN_CHUNK_SIZE=12G is out of range: 4K..1G");
  expect_error(load({"PIRN_CHUNK_SIZE=99999999T"}), PIRN_ERR_RANGE,
               "PIRN_CHUNK_SIZE=99999999T is out of range: 4K..1G");
  expect_error(load({}, {"transfer_retries=101"}), PIRN_ERR_RANGE, "PIRN_TRANSFER_RETRIES=101 is out of range: 0..100");
  expect_error(load({"PIRN_HEARTBEAT=9ms"}), PIRN_ERR_RANGE, "PIRN_HEARTBEAT=9ms is out of range: 10ms..1min");
}

static void load__malformed_values__name_setting_value_and_what_is_allowed(void **) {
  expect_error(load({"PIRN_CHUNK_SIZE=12Q"}), PIRN_ERR_INVALID,
               "PIRN_CHUNK_SIZE=12Q is not a size: write a number and B, K, M, G or T (powers of 1024); "
               "allowed: 4K..1G");
  expect_error(load({"PIRN_QUIET_TIME=50"}), PIRN_ERR_INVALID,
               "PIRN_QUIET_TIME=50 is not a time: write a number and ns, us, ms, s, min or h; allowed: 1ms..10s");
  expect_error(load({"PIRN_MAX_TRANSFERS="}), PIRN_ERR_INVALID,
               "PIRN_MAX_TRANSFERS= is not a number: write decimal digits; allowed: 1..16777216");
  for (const char *value : {"", "TCP", "tcp|shm", "cp", "aut", "|"}) {
    const std::string line = std::string("PIRN_PROGRESS=") + value;
    const std::string wanted = line + " is not allowed; allowed: thread, spin, manual";
    expect_error(load({line.c_str()}), PIRN_ERR_INVALID, wanted.c_str());
  }
}

static void load__misspelt_environment_names__warn_with_the_nearest_name(void **) {
  Result<LoadedSettings> result = load({"PIRN_PROVIDR=tcp", "PIRN_chunk_size=1M", "PIRN_KYE=x", "PIRN_HEART_BEAT=1s",
                                        "PIRN_ELEPHANT=1", "PIRN_=1", "PIRNATE=1", "pirn_key=1"});
  assert_true(result.is_ok());
  const std::vector<std::string> &warnings = result.value().warnings;
  assert_int_equal(warnings.size(), 6);
  assert_text(warnings[0], "PIRN_PROVIDR is not a setting; did you mean PIRN_PROVIDER?");
  assert_text(warnings[1], "PIRN_chunk_size is not a setting; did you mean PIRN_CHUNK_SIZE?");
  assert_text(warnings[2], "PIRN_KYE is not a setting; did you mean PIRN_KEY?");
  assert_text(warnings[3], "PIRN_HEART_BEAT is not a setting; did you mean PIRN_HEARTBEAT?");
  assert_text(warnings[4], "PIRN_ELEPHANT is not a setting");
  assert_text(warnings[5], "PIRN_ is not a setting");
  assert_text(result.value().values.provider, "auto");
}

static void load__unknown_params__are_errors(void **) {
  expect_error(load({}, {"providr=tcp"}), PIRN_ERR_INVALID, "providr is not a setting; did you mean PROVIDER?");
  expect_error(load({}, {"elephant=1"}), PIRN_ERR_INVALID, "elephant is not a setting");
  expect_error(load({}, {std::string(100000, 'a') + "=1"}), PIRN_ERR_INVALID,
               (std::string(100, 'a') + "... is not a setting").c_str());
  expect_error(load({}, {"NICS=a", "my secret"}), PIRN_ERR_INVALID, "settings[1] is not of the form NAME=VALUE");
}

static void load__key__is_never_shown(void **) {
  Result<LoadedSettings> result = load({"PIRN_KEY=open sesame"});
  assert_text(result.value().values.key, "open sesame");
  assert_text(row(result.value(), "PIRN_KEY").value, "***");
  for (const SettingReport &report : result.value().report) {
    assert_true(report.value.find("sesame") == std::string::npos);
  }
  assert_text(row(load({}).value(), "PIRN_KEY").value, "");
}

static void load__key_and_key_file__is_an_error(void **) {
  const char *text = "PIRN_KEY and PIRN_KEY_FILE are both set: set one of them";
  expect_error(load({"PIRN_KEY=a", "PIRN_KEY_FILE=/b"}), PIRN_ERR_INVALID, text);
  expect_error(load({"PIRN_KEY=a"}, {"key_file=/b"}), PIRN_ERR_INVALID, text);
  Result<LoadedSettings> cleared = load({"PIRN_KEY=a"}, {"key=", "key_file=/b"});
  assert_true(cleared.is_ok());
  assert_text(row(cleared.value(), "PIRN_KEY_FILE").value, "/b");
}

static void load__every_setting__has_a_name_of_its_own(void **) {
  std::set<std::string> names;
  Result<LoadedSettings> loaded = load({});
  for (const SettingReport &report : loaded.value().report) names.insert(report.name);
  assert_int_equal(names.size(), loaded.value().report.size());
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(load__nothing_given__is_all_defaults),
      cmocka_unit_test(load__environment_and_params__params_win_and_sources_are_told),
      cmocka_unit_test(load__same_param_twice__the_later_one_counts),
      cmocka_unit_test(load__limits_themselves__are_allowed_and_one_beyond_is_not),
      cmocka_unit_test(load__malformed_values__name_setting_value_and_what_is_allowed),
      cmocka_unit_test(load__misspelt_environment_names__warn_with_the_nearest_name),
      cmocka_unit_test(load__unknown_params__are_errors),
      cmocka_unit_test(load__key__is_never_shown),
      cmocka_unit_test(load__key_and_key_file__is_an_error),
      cmocka_unit_test(load__every_setting__has_a_name_of_its_own),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
