// SPDX-License-Identifier: Apache-2.0
// Several NICs, and one of the other side's that dies and comes back. For simulated NICs between two processes: the
// environment of the target's process makes its NIC fail, and names the file in which its NICs record what they do.
#include "harness.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

using namespace pirn_test;

namespace {

constexpr uint64_t room = 8 << 20;
const std::string failing = "1";  // rail of the target

struct Record {
  std::string path = "/tmp/pirn-rails-XXXXXX";
  Record() {
    const int fd = mkstemp(path.data());
    if (fd < 0) fail_test("mkstemp %s", path.c_str());
    close(fd);
  }
  ~Record() { unlink(path.c_str()); }
  int deaths() const {
    std::ifstream lines(path);
    int count = 0;
    for (std::string line; std::getline(lines, line);) count += line.rfind("fault ", 0) == 0;
    return count;
  }
};

// Dies after 40 operations of its own; where it then is a new endpoint, that one dies, too. Over verbs it is the same
// again after 300 ms.
Target &spawn_failing(Pair &pair, const Record &record) {
  setenv("PIRN_SIM_DIE", (failing + ":40:300").c_str(), 1);
  setenv("PIRN_SIM_TRACE", record.path.c_str(), 1);
  Target &target = pair.spawn();
  unsetenv("PIRN_SIM_DIE");
  unsetenv("PIRN_SIM_TRACE");
  return target;
}

struct PathState {
  bool in_use = false;
  uint64_t moved = 0;  // bytes
};

// Of the pair of rails that ends at the failing NIC.
PathState path_to_failing(pirn_peer *peer) {
  const std::string text = explain(peer);
  const size_t begin = text.find("path fabric: rail " + failing + " ");
  if (begin == std::string::npos) fail_test("no path of rail %s in:\n%s", failing.c_str(), text.c_str());
  const std::string line = text.substr(begin, text.find('\n', begin) - begin);
  const size_t moved = line.find(", moved ");
  if (line.find("to remote rail " + failing + " ") == std::string::npos || moved == std::string::npos)
    fail_test("not the path to remote rail %s: %s", failing.c_str(), line.c_str());
  return {line.find(": in use, ") != std::string::npos, std::strtoull(line.c_str() + moved + 8, nullptr, 10)};
}

// The target owns a window; it writes to one of ours, too, which is what its NIC dies of.
struct Setup {
  Pair &pair;
  Target &target;
  Remote remote;
  pirn_peer *peer = nullptr;
  uint64_t back = 0, source = 0;  // the target's handle of our window, its buffer

  Setup(Pair &p, const Record &record) : pair(p), target(spawn_failing(p, record)) {
    pair.open();
    target.open();
    const std::string address = target.listen();
    EXPECT_OK(pirn_peer_connect(pair.endpoint(), address.c_str(), 10 * second, &peer));
    const uint64_t there = target.accept();
    remote = pair.remote(target, peer, room, 1);
    const Memory &mine = pair.memory(room, 2);
    const WindowBlob blob = advertise(mine);
    back = target.import_window(there, blob.bytes);
    source = target.alloc(room, 3);
  }
};

void write_range(const Setup &setup, const Memory &from, uint64_t offset, uint64_t length) {
  const pirn_transfer_params params = params_with(60 * second);
  EXPECT_OK(pirn_write(from.region, offset, setup.remote.window, offset, length, &params, nullptr));
}

void check_window(Setup &setup, uint64_t seed) {
  const Memory &in = setup.pair.memory(room, 4);
  const pirn_transfer_params params = params_with(60 * second);
  EXPECT_OK(pirn_read(in.region, 0, setup.remote.window, 0, room, &params, nullptr));
  EXPECT_MATCH(find_mismatch(in.buffer.data(), room, seed));
  EXPECT_MATCH(setup.target.check(setup.remote.buffer, 0, room, seed));
}

void owner_nic_dies__and_comes_back__window_is_used_by_it_again(void **state) {
  Pair &pair = pair_of(state);
  const Record record;
  Setup setup(pair, record);
  for (int round = 0; round < 3; ++round) {
    const uint64_t seed = pair.random.next();
    const Memory &out = pair.memory(room, seed);
    int storms = 0;
    do {
      setup.target.begin({Op::storm, {setup.source, setup.back, 64 << 10, 300}, ""});
      for (int i = 0; i < 20; ++i) {
        const uint64_t offset = pair.random.below(room);
        write_range(setup, out, offset, pair.random.between(1, room - offset));
      }
      const Reply storm = setup.target.finish();
      if (storm.status != PIRN_OK) fail_test("storm: %s: %s", status_name(storm.status), storm.text.c_str());
    } while (record.deaths() == 0 && ++storms < 100);
    assert_true(record.deaths() > 0);

    if (!wait_until(30000, [&] { return path_to_failing(setup.peer).in_use; })) {
      std::printf("%s\nthe target:\n%s\n", explain(setup.peer).c_str(),
                  setup.target.call({Op::explain, {}, ""}).payload.c_str());
      fail_test("the path is not used again");
    }
    const uint64_t moved = path_to_failing(setup.peer).moved;
    write_range(setup, out, 0, room);
    assert_true(wait_until(30000, [&] {
      write_range(setup, out, 0, room);
      return path_to_failing(setup.peer).moved > moved;
    }));
    check_window(setup, seed);
  }
  std::printf("  the NIC died %d times\n", record.deaths());
}

}  // namespace

int main(int argc, char **argv) {
  return run(argc, argv, "rails", {CASE(owner_nic_dies__and_comes_back__window_is_used_by_it_again)});
}
