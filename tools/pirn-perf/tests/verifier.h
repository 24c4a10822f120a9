// SPDX-License-Identifier: Apache-2.0
// Prepares and checks the bytes of operations: patterns where bytes must go, background everywhere else.
#pragma once

#include "workload.h"

class Verifier {
 public:
  explicit Verifier(Session &session) : session_(session) {}
  // Before the operations of `slots` run: a new pattern at each one's source.
  void prepare(const Workload &workload, const std::vector<uint64_t> &slots, uint64_t seed);
  // After they completed; throws Failure at the first wrong byte.
  void check_moved(const Workload &workload, const std::vector<uint64_t> &slots, uint64_t seed);
  // After check_moved: no byte of the first `bytes` outside the destinations may have changed, on either side.
  void check_untouched(uint64_t bytes);

 private:
  void ask(const char *what, const std::vector<Move> &moves, uint64_t seed);

  Session &session_;
};
