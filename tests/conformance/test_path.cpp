// SPDX-License-Identifier: Apache-2.0
// The way bytes take inside one process: stated, demandable, and safe when the other endpoint goes.
#include "harness.h"

#include <cstring>

using namespace pirn_test;

namespace {

pirn_transfer_params by(const char *path) {
  pirn_transfer_params params = params_with(10 * second);
  params.path = path;
  return params;
}

void path__each_demand_in_one_process__is_met_and_stated(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const uint64_t size = pair.random.between(1, 3 << 20);
  const Remote remote = pair.remote(pair.target(), peer, size, 1);
  const Memory &local = pair.memory(size, 2);
  for (const char *path : {"self", "fabric"}) {
    fill_pattern(local.buffer.data(), size, strlen(path));
    const pirn_transfer_params params = by(path);
    pirn_transfer id = 0;
    EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, size, &params, &id));
    pirn_result result = empty_result();
    EXPECT_OK(pirn_transfer_wait(pair.endpoint(), id, 10 * second, &result));
    assert_string_equal(result.path, path);
    assert_int_equal(result.bytes, size);
    pirn_peer_info info{};
    info.struct_size = sizeof info;
    EXPECT_OK(pirn_peer_get_info(peer, &info));
    assert_string_equal(info.path, path);
    EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
    EXPECT_MATCH(pair.target().check(remote.buffer, 0, size, strlen(path)));
  }
}

void path__demand_that_cannot_be_met__is_unavailable_and_moves_nothing(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 4096, 1);
  const Memory &local = pair.memory(4096, 2);
  const pirn_transfer_params params = by("ipc");
  EXPECT_ERROR(PIRN_ERR_UNAVAILABLE, pirn_write(local.region, 0, remote.window, 0, 4096, &params, nullptr), "\"ipc\"",
               "\"self\"");
  pirn_transfer id = 0;
  pirn_result result = empty_result();
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, 4096, &params, &id));
  EXPECT(PIRN_ERR_UNAVAILABLE, pirn_transfer_wait(pair.endpoint(), id, 10 * second, &result));
  assert_string_equal(result.path, "");  // none was taken
  EXPECT_OK(pirn_transfer_release(pair.endpoint(), id));
  EXPECT_MATCH(pair.target().check(remote.buffer, 0, 4096, 1));
}

void path__unknown_name__is_invalid_and_names_the_choice(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  const Remote remote = pair.remote(pair.target(), peer, 4096, 1);
  const Memory &local = pair.memory(4096, 2);
  const pirn_transfer_params params = by("shm");
  EXPECT_ERROR(PIRN_ERR_INVALID, pirn_write(local.region, 0, remote.window, 0, 4096, &params, nullptr), "\"shm\"",
               "\"self\"", "\"ipc\"", "\"fabric\"");
}

// The owner unmaps its memory right after pirn_endpoint_close(), in the middle of transfers: a late copy would fault.
void path__owner_closes_and_unmaps_in_mid_transfer__ends_without_a_fault(void **state) {
  Pair &pair = pair_of(state);
  pirn_peer *peer = pair.start();
  constexpr uint64_t size = 8 << 20;
  const Remote remote = pair.remote(pair.target(), peer, size, 1);
  const Memory &local = pair.memory(size, 2);
  const pirn_transfer_params params = by("self");
  EXPECT_OK(pirn_write(local.region, 0, remote.window, 0, size, &params, nullptr));
  pair.target().begin({Op::close, {}, {}});
  pirn_status status = PIRN_OK;
  for (const uint64_t end = clock_now() + 20 * second; status == PIRN_OK && clock_now() < end;)
    status = pirn_write(local.region, 0, remote.window, 0, size, &params, nullptr);
  assert_int_equal(pair.target().finish().status, PIRN_OK);
  if (status != PIRN_ERR_WINDOW_GONE && status != PIRN_ERR_PEER_LOST)
    fail_test("ended with %s: %s", status_name(status), pirn_last_error());
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "path",
             {
                 CASE(path__each_demand_in_one_process__is_met_and_stated),
                 CASE(path__demand_that_cannot_be_met__is_unavailable_and_moves_nothing),
                 CASE(path__unknown_name__is_invalid_and_names_the_choice),
                 CASE(path__owner_closes_and_unmaps_in_mid_transfer__ends_without_a_fault),
             });
}
