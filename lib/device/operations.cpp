// SPDX-License-Identifier: Apache-2.0
#include "device/operations.h"

namespace pirn::device {
namespace {

Status no() { return fail(PIRN_ERR_UNAVAILABLE, "this kind of device cannot do that"); }

template <typename T>
struct Slot;
// A function of any slot's type that answers no().
template <typename R, typename... Args>
struct Slot<R (*)(Args...)> {
  static R answer(Args...) { return no(); }
};

template <typename Pointer>
void refuse(Pointer &slot) {
  slot = &Slot<Pointer>::answer;
}

template <typename... Pointers>
void refuse_all(Pointers &...slots) {
  (refuse(slots), ...);
}

}  // namespace

const char *backing_name(Backing backing) {
  switch (backing) {
    case Backing::plain: return "plain device memory";
    case Backing::chunks: return "device memory mapped from chunks";
    case Backing::pool: return "device memory of a pool";
    case Backing::managed: return "managed memory";
    case Backing::pinned: return "page-locked host memory";
    case Backing::registered: return "host memory page-locked later";
  }
  return "memory of an unknown kind";
}

Operations unsupported(const char *name) {
  Operations table{};
  table.name = name;
  refuse_all(table.load, table.devices, table.version, table.link, table.identify, table.allocate, table.release,
             table.allocate_host, table.release_host, table.pin, table.unpin, table.share, table.map, table.unmap,
             table.enable_peer, table.dma_buf, table.order_with_nics, table.make_stream, table.drop_stream, table.make_event,
             table.drop_event, table.record, table.reached, table.copy, table.copy_blocks, table.copy_selected, table.finish,
             table.device_of, table.capturing, table.wait_word, table.write_word);
  table.remote_writes = [](uint32_t) -> Result<RemoteWrites> { return RemoteWrites::seen; };
  table.flush_remote_writes = [](uint32_t) { return Status::ok(); };
  return table;
}

uint64_t chain(std::span<Block> blocks) {
  uint64_t before = 0;
  for (Block &block : blocks) {
    block.before = before;
    before += block.length;
  }
  return before;
}

const Operations *find_table(const std::string &name) {
  for (const Operations *table : tables())
    if (name == table->name) return table;
  return nullptr;
}

}  // namespace pirn::device
