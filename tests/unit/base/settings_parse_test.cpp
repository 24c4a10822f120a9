// SPDX-License-Identifier: Apache-2.0
#include "../check.h"

#include "base/settings.h"
#include "base/settings_parse.h"

using namespace pirn;

namespace {

struct Good {
  const char *value;
  uint64_t wanted;
};

struct Bad {
  const char *value;
  pirn_status code;
  const char *text;
};

using Parse = Result<uint64_t> (*)(const std::string &);

void check_good(Parse parse, const Good *cases, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Result<uint64_t> result = parse(cases[i].value);
    assert_text(result.status().text, "");
    assert_int_equal(result.value(), cases[i].wanted);
  }
}

void check_bad(Parse parse, const Bad *cases, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Result<uint64_t> result = parse(cases[i].value);
    assert_false(result.is_ok());
    assert_int_equal(result.error().code, cases[i].code);
    assert_text(result.error().text, cases[i].text);
  }
}

}  // namespace

static void parse_size__all_units_and_spellings__are_bytes(void **) {
  constexpr Good cases[] = {{"0", 0},
                            {"17", 17},
                            {"17B", 17},
                            {"4K", 4096},
                            {"4k", 4096},
                            {"4KiB", 4096},
                            {"64 MiB", 64ull << 20},
                            {"8m", 8ull << 20},
                            {"3G", 3ull << 30},
                            {"2tib", 2ull << 40},
                            {"18446744073709551615", UINT64_MAX},
                            {"16777215T", 16777215ull << 40},
                            {"0000000000000000000000000001", 1}};
  check_good(parse_size, cases, std::size(cases));
}

static void parse_size__malformed_or_huge__is_an_error_that_quotes_it(void **) {
  const char *usage = "is not a size: write a number and B, K, M, G or T (powers of 1024)";
  for (const char *value : {"", " ", "K", "4Q", "4KB", "-1", "+1", "1.5G", "0x10", "4 K B", " 4", "4K ", "1e3"}) {
    const std::string wanted = std::string(value) + " " + usage;
    const Bad one{value, PIRN_ERR_INVALID, wanted.c_str()};
    check_bad(parse_size, &one, 1);
  }
  constexpr Bad cases[] = {{"18446744073709551616", PIRN_ERR_RANGE, "18446744073709551616 is too large"},
                           {"16777216T", PIRN_ERR_RANGE, "16777216T is too large"},
                           {"99999999999999999999999999K", PIRN_ERR_RANGE, "99999999999999999999999999K is too large"}};
  check_bad(parse_size, cases, std::size(cases));
}

static void parse_time__all_units__are_nanoseconds(void **) {
  constexpr Good cases[] = {{"0", 0},
                            {"7ns", 7},
                            {"50us", 50000},
                            {"250ms", 250000000},
                            {"10 s", 10000000000},
                            {"2min", 120000000000},
                            {"1h", 3600000000000},
                            {"3MS", 3000000}};
  check_good(parse_time, cases, std::size(cases));
}

static void parse_time__no_unit_or_a_wrong_one__is_an_error(void **) {
  const char *usage = "is not a time: write a number and ns, us, ms, s, min or h";
  for (const char *value : {"", "10", "10m", "10sec", "-1s", "s", "1.5s"}) {
    const std::string wanted = std::string(value) + " " + usage;
    const Bad one{value, PIRN_ERR_INVALID, wanted.c_str()};
    check_bad(parse_time, &one, 1);
  }
  constexpr Bad huge{"5124096h", PIRN_ERR_RANGE, "5124096h is too large"};
  check_bad(parse_time, &huge, 1);
}

static void parse_count__digits_only(void **) {
  constexpr Good cases[] = {{"0", 0}, {"65536", 65536}};
  check_good(parse_count, cases, std::size(cases));
  constexpr Bad bad[] = {{"4K", PIRN_ERR_INVALID, "4K is not a number: write decimal digits"},
                         {"", PIRN_ERR_INVALID, " is not a number: write decimal digits"}};
  check_bad(parse_count, bad, std::size(bad));
}

static void format__random_values__parse_back_to_themselves(void **) {
  Seeded random;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t value = random.any() >> random.between(0, 63) << random.between(0, 12);
    assert_int_equal(parse_size(format_size(value)).value(), value);
    assert_int_equal(parse_time(format_time(value)).value(), value);
  }
  assert_text(format_size(8 << 20), "8M");
  assert_text(format_size((8 << 20) + 1), "8388609");
  assert_text(format_time(86400000000000), "24h");
  assert_text(format_time(90000000000), "90s");
  assert_text(format_time(0), "0");
}

static void edit_distance__known_pairs__count_the_steps(void **) {
  assert_int_equal(edit_distance("", ""), 0);
  assert_int_equal(edit_distance("KEY", "KEY"), 0);
  assert_int_equal(edit_distance("", "NICS"), 4);
  assert_int_equal(edit_distance("PROVIDR", "PROVIDER"), 1);
  assert_int_equal(edit_distance("PROVIEDR", "PROVIDER"), 1);
  assert_int_equal(edit_distance("KITTEN", "SITTING"), 3);
  Seeded random;
  for (int i = 0; i < 200; ++i) {
    const std::string a = random.printable(random.between(0, 20)), b = random.printable(random.between(0, 20));
    assert_int_equal(edit_distance(a, b), edit_distance(b, a));
    assert_true(edit_distance(a, b) <= std::max(a.size(), b.size()));
  }
}

static void quotable__control_characters_and_length__are_tamed(void **) {
  assert_text(quotable("a\nb\x1b"), "a?b?");
  assert_text(quotable(std::string(100, 'x')), std::string(100, 'x'));
  assert_text(quotable(std::string(101, 'x')), std::string(100, 'x') + "...");
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(parse_size__all_units_and_spellings__are_bytes),
      cmocka_unit_test(parse_size__malformed_or_huge__is_an_error_that_quotes_it),
      cmocka_unit_test(parse_time__all_units__are_nanoseconds),
      cmocka_unit_test(parse_time__no_unit_or_a_wrong_one__is_an_error),
      cmocka_unit_test(parse_count__digits_only),
      cmocka_unit_test(format__random_values__parse_back_to_themselves),
      cmocka_unit_test(edit_distance__known_pairs__count_the_steps),
      cmocka_unit_test(quotable__control_characters_and_length__are_tamed),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
