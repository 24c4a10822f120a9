// SPDX-License-Identifier: Apache-2.0
// What an internal call came to: a code of the public ABI and a text for people.
// Errors travel as values; exceptions are left to the allocator.
#pragma once

#include <pirn/status.h>

#include <string>
#include <utility>
#include <variant>

namespace pirn {

struct [[nodiscard]] Status {
  pirn_status code = PIRN_OK;
  std::string text;

  static Status ok() { return {}; }
  bool is_ok() const { return code == PIRN_OK; }
};

// printf-like: Status fail(PIRN_ERR_RANGE, "offset %llu is outside ...", ...)
Status fail(pirn_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool is_ok() const { return state_.index() == 0; }
  T &value() { return std::get<0>(state_); }
  const T &value() const { return std::get<0>(state_); }
  T take() { return std::move(std::get<0>(state_)); }
  Status &error() { return std::get<1>(state_); }
  Status status() const { return is_ok() ? Status{} : std::get<1>(state_); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace pirn
