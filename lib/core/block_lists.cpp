// SPDX-License-Identifier: Apache-2.0
#include "core/block_lists.h"

#include "base/clock.h"
#include "base/text.h"

#include <algorithm>

namespace pirn::core {

static bool has_kernels(const Home &home) {
  auto devices = home.table->devices();
  if (!devices.is_ok()) return false;
  for (const device::Info &info : devices.value())
    if (info.ordinal == home.device) return (info.features & device::has_kernels) != 0;
  return false;
}

bool Kernels::work(const Home &home) {
  auto found = known_.find(home);
  if (found == known_.end()) found = known_.emplace(home, has_kernels(home)).first;
  return found->second;
}

Status Kernels::refused(const Home &home, void *stream, const Status &why) {
  known_[home] = false;
  if (refusals_.emplace(home, why.text).second)
    log_.write(PIRN_LOG_WARN, "%s:%u copies by its copy engines alone from now on: a kernel was not launched: %s",
               home.table->name, home.device, why.text.c_str());
  const Status over = home.table->finish(home.device, stream, ns_per_s);
  return over.is_ok() ? over : why;
}

std::string Kernels::explain() const {
  std::string out;
  for (const auto &[home, why] : refusals_)
    out += text("%s:%u copies by its copy engines alone, since a kernel was not launched: %s\n", home.table->name, home.device,
                why.c_str());
  return out;
}

BlockRooms::~BlockRooms() {
  for (device::Block *room : idle_) (void)table_.release_host(room);
}

Status BlockRooms::make() {
  auto made = table_.allocate_host(blocks * sizeof(device::Block));
  if (!made.is_ok()) return made.status();
  ++made_;
  idle_.push_back(static_cast<device::Block *>(made.value()));
  return Status::ok();
}

Status BlockRooms::make_all() {
  Status status;
  while (status.is_ok() && made_ < most) status = make();
  return status;
}

Result<device::Block *> BlockRooms::take() {
  if (idle_.empty()) {
    if (made_ == most) return static_cast<device::Block *>(nullptr);
    if (Status status = make(); !status.is_ok()) return status;
  }
  device::Block *room = idle_.back();
  idle_.pop_back();
  return room;
}

Result<std::unique_ptr<PreparedBlocks>> PreparedBlocks::make(const Home &home, void *stream,
                                                             std::span<const device::Block> blocks,
                                                             std::shared_ptr<Lease> lease) {
  std::unique_ptr<PreparedBlocks> made(new PreparedBlocks(home, std::move(lease)));
  auto here = home.table->allocate_host(blocks.size_bytes());
  if (!here.is_ok()) return here.status();
  made->here_ = static_cast<device::Block *>(here.value());
  made->count_ = static_cast<uint32_t>(blocks.size());
  std::copy(blocks.begin(), blocks.end(), made->here_);
  made->total_ = device::chain({made->here_, blocks.size()});
  const bool alike = std::all_of(blocks.begin(), blocks.end(),
                                 [&](const device::Block &block) { return block.length == blocks.front().length; });
  made->length_ = alike ? blocks.front().length : 0;
  auto there = home.table->allocate(home.device, blocks.size_bytes());
  if (!there.is_ok()) return there.status();
  made->allocation_ = there.value();
  made->there_ = static_cast<const device::Block *>(made->allocation_.address);
  Status copied = home.table->copy(home.device, stream, made->allocation_.address, made->here_, blocks.size_bytes());
  if (!copied.is_ok()) return copied;
  return made;
}

uint32_t PreparedBlocks::end_within(uint32_t first, uint64_t bytes) const {
  if (this->bytes(first, count_) <= bytes) return count_;
  const uint64_t limit = before(first) + bytes;
  const auto *past = std::upper_bound(here_ + first, here_ + count_, limit,
                                      [](uint64_t at, const device::Block &block) { return at < block.before; });
  return std::max(static_cast<uint32_t>(past - here_) - 1, first + 1);
}

PreparedBlocks::~PreparedBlocks() {
  if (here_) (void)home.table->release_host(here_);
  if (there_) (void)home.table->release(allocation_);
}

}  // namespace pirn::core
