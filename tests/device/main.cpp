// SPDX-License-Identifier: Apache-2.0
// Conformance of a vendor's table (lib/device/operations.h): the promises of every slot, on whatever devices there are,
// simulated or real. PIRN_TEST_DEVICE chooses the table; arguments, one group of scenarios, and those of it whose names
// match a pattern of cmocka's. One device is enough; more make more scenarios apply.
#include "groups.h"
#include "rig.h"

#include <cstdlib>
#include <cstring>

namespace {

struct Group {
  const char *name;
  int (*run)();
};
constexpr Group groups[] = {{"memory", run_memory},
                            {"copies", run_copies},
                            {"blocks", run_blocks},
                            {"streams", run_streams},
                            {"sharing", run_sharing}};

}  // namespace

int main(int count, char **arguments) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  rig::choose();
  if (count == 3 && std::strcmp(arguments[1], "importer") == 0) return run_importer(std::atoi(arguments[2]));
  if (count > 2) cmocka_set_test_filter(arguments[2]);
  int failed = 0, ran = 0;
  for (const Group &group : groups) {
    if (count > 1 && std::strcmp(arguments[1], group.name) != 0) continue;
    failed += group.run();
    ++ran;
  }
  if (ran == 0) std::fprintf(stderr, "%s: memory, copies, blocks, streams and sharing are allowed\n", arguments[1]);
  return failed == 0 && ran != 0 ? 0 : 1;
}
