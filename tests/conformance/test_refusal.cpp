// SPDX-License-Identifier: Apache-2.0
// A provider that must not cross process borders (shm: the death of one side can hang the other inside
// libfabric) is refused between processes, with the reason, however the peer is met.
#include "harness.h"

#include <cstring>

using namespace pirn_test;

namespace {

bool is_refusal(pirn_status status) { return status == PIRN_ERR_UNAVAILABLE || status == PIRN_ERR_REFUSED; }

void expect_reason(const char *text) {
  if (std::strstr(text, "process") == nullptr || std::strstr(text, provider().c_str()) == nullptr) {
    fail_test("the refusal does not name %s and processes: %s", provider().c_str(), text);
  }
}

void connect__between_processes__is_refused_with_the_reason(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const std::string address = target.listen();
  target.accept_start();
  pirn_peer *peer = reinterpret_cast<pirn_peer *>(state);
  const uint64_t start = clock_now();
  const pirn_status status = pirn_peer_connect(pair.endpoint(), address.c_str(), 5 * second, &peer);
  if (!is_refusal(status)) fail_test("connect: %s: %s", status_name(status), pirn_last_error());
  expect_reason(pirn_last_error());
  assert_null(peer);
  assert_true(clock_now() - start < at_most(second));
}

void add__between_processes__is_refused_with_the_reason(void **state) {
  Pair &pair = pair_of(state);
  pair.open();
  Target &target = pair.spawn();
  target.open();
  const std::string blob = target.metadata();
  pirn_peer *peer = nullptr;
  pirn_status status = pirn_peer_add(pair.endpoint(), blob.data(), blob.size(), &peer);
  if (status == PIRN_OK) status = pirn_peer_wait(peer, 5 * second);
  if (!is_refusal(status)) fail_test("add: %s: %s", status_name(status), pirn_last_error());
  expect_reason(pirn_last_error());
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "refusal",
             {
                 CASE(connect__between_processes__is_refused_with_the_reason),
                 CASE(add__between_processes__is_refused_with_the_reason),
             });
}
