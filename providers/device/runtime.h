// SPDX-License-Identifier: Apache-2.0
// Opening a vendor's runtime: its functions are found by name in a shared object, so that one build of pirn runs where
// there is none. Everything here is meant to be used under the lock of the table that loads.
#pragma once

#include "base/result.h"

#include <span>

namespace pirn::device {

// A function by the name that the runtime exports it under.
struct Symbol {
  const char *name;
  bool required;
  void *address = nullptr;

  explicit operator bool() const { return address != nullptr; }
};

// Every function that we call returns its error as an int (or an enum of that size; 0 is success).
template <typename... Args>
struct Entry : Symbol {
  int operator()(Args... args) const { return reinterpret_cast<int (*)(Args...)>(address)(args...); }
};

// Opens the first of `names` that there is and looks `symbols` up in it. `only_if_loaded`: takes only one that the
// process has already. UNAVAILABLE names what was looked for, or the first required symbol that is missing; nothing
// stays open then. On success it stays open for good: a driver that has run cannot be unloaded safely.
Status open_runtime(std::span<const char *const> names, bool only_if_loaded, std::span<Symbol *const> symbols);

}  // namespace pirn::device
