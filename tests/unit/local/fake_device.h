// SPDX-License-Identifier: Apache-2.0
// A small device table for importers: its memory is memory files, and its calls fail on demand. A legacy handle holds
// the path of such a file.
#pragma once

#include "fixture.h"

#include "device/operations.h"

namespace fixture {

constexpr uint32_t fake_ordinal = 3;
constexpr uint32_t bit(device::HandleKind kind) { return uint32_t{1} << static_cast<unsigned>(kind); }

struct FakeDevice {
  uint32_t failing = 0;  // bit()s of handles that cannot be mapped
  pirn_status copy = PIRN_OK, finish = PIRN_OK, make_stream = PIRN_OK;
  std::vector<device::HandleKind> mapped, unmapped;  // in order; mapped: also what failed
  std::vector<std::vector<std::byte>> copied;
  std::vector<uint64_t> patience;  // that finish() was given
  int streams = 0, streams_made = 0;
};
extern FakeDevice fake;
void reset_fake();          // all calls succeed; what was left allocated is freed
size_t fake_host_blocks();  // that allocate_host() gave and nobody gave back

const device::Operations *fake_operations();
wire::ShareHandle legacy_handle(int file);  // also good for other processes, as long as this one has it open

}  // namespace fixture
