// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of the bootstrap: identities, and an owner that records every event.
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}
#undef fail  // cmocka's macro; ours makes statuses

#include "bootstrap/handshake.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>

namespace fixture {

using pirn::bootstrap::Identity;

inline pirn::wire::Metadata metadata_of(uint8_t id) {
  pirn::wire::Metadata metadata;
  metadata.instance.fill(id);
  metadata.host.fill(7);
  metadata.process.fill(static_cast<uint8_t>(id + 100));
  pirn::wire::RailAddress rail;
  rail.provider = "tcp";
  rail.protocol = "net";
  rail.address.assign(16, std::byte{id});
  rail.link_speed = 1000;
  metadata.rails.push_back(rail);
  return metadata;
}

inline Identity identity_of(uint8_t id, const std::string &secret = "") {
  Identity self;
  self.instance.fill(id);
  self.metadata = pirn::wire::encode_metadata(metadata_of(id));
  const std::span bytes(reinterpret_cast<const uint8_t *>(secret.data()), secret.size());
  if (!secret.empty()) self.key = pirn::bootstrap::derive_key(bytes);
  return self;
}

// Printed, so that a failure can be run again with PIRN_TEST_SEED.
inline std::mt19937_64 seeded_random(const char *test) {
  const char *given = std::getenv("PIRN_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : static_cast<uint64_t>(std::time(nullptr));
  std::fprintf(stderr, "%s: PIRN_TEST_SEED=%llu\n", test, static_cast<unsigned long long>(seed));
  return std::mt19937_64(seed);
}

inline bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

}  // namespace fixture
