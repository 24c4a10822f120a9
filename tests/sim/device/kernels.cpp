// SPDX-License-Identifier: Apache-2.0
#include "kernels.h"

#include "memory.h"
#include "report.h"
#include "transfer.h"
#include "worker.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace pirn::fake_gpu {

namespace {

struct Block {
  uint64_t to, from, length, before;
};

constexpr const char *blocks_name = "pirn_copy_blocks", *selected_name = "pirn_copy_selected";
constexpr uint64_t most_blocks = 1u << 30;
constexpr uint32_t kernel_threads = 512;

// A kernel that is given wrong sums copies something else.
bool is_chain(const std::vector<Block> &blocks) {
  uint64_t before = blocks.front().before;
  for (const Block &block : blocks) {
    if (block.before != before) return false;
    before += block.length;
  }
  return true;
}

// What the device reads at an address.
template <typename T>
Code fetch(Context &context, uint64_t address, std::vector<T> &out, uint64_t seed) {
  std::vector<Span> spans;
  const uint64_t bytes = out.size() * sizeof(T);
  {
    Lock lock(engine().lock);
    if (resolve(context, {address, bytes}, {false, true}, spans) != ok) return illegal_address;
  }
  return transfer(context, reinterpret_cast<uint64_t>(out.data()), address, bytes, false, seed);
}

// In any order.
Code move_all(Context &context, std::vector<Block> &blocks, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (const Block &block : blocks) {
    if (block.length == 0) continue;
    Code code = transfer(context, block.to, block.from, block.length, true, random());
    if (code != ok) return code;
  }
  return ok;
}

// As providers/device/kernel_image.h has it.
Code copy_blocks(Context &context, uint64_t list, uint64_t count, uint64_t seed) {
  std::vector<Block> blocks(count);
  if (Code code = fetch(context, list, blocks, seed); code != ok) return code;
  if (!is_chain(blocks)) {
    report("misuse", "pirn_copy_blocks: `before` of a block is not the sum of the lengths ahead of it");
    return illegal_address;
  }
  return move_all(context, blocks, seed);
}

struct Selection {
  uint64_t list, to, from, count, length;
};

Code copy_selected(Context &context, const Selection &selection, uint64_t seed) {
  std::vector<uint32_t> to(selection.count), from(selection.count);
  if (Code code = fetch(context, selection.to, to, seed); code != ok) return code;
  if (Code code = fetch(context, selection.from, from, seed); code != ok) return code;
  std::vector<Block> blocks;
  for (uint64_t i = 0; i < selection.count; ++i) {
    std::vector<Block> target(1), source(1);
    if (Code code = fetch(context, selection.list + to[i] * sizeof(Block), target, seed); code != ok) return code;
    if (Code code = fetch(context, selection.list + from[i] * sizeof(Block), source, seed); code != ok) return code;
    blocks.push_back({target[0].to, source[0].from, selection.length, 0});
  }
  return move_all(context, blocks, seed);
}

template <typename T>
T parameter(const Launch &launch, size_t index) {
  T value;
  memcpy(&value, launch.parameters[index], sizeof value);
  return value;
}

}  // namespace

bool knows_kernel(const std::string &name) { return name == blocks_name || name == selected_name; }

bool looks_like_image(const void *image) {
  uint32_t word;
  memcpy(&word, image, sizeof word);
  if (word == 0xba55ed50 || word == 0x466243b1) return true;  // fatbin, its wrapper
  const char *text = static_cast<const char *>(image);
  if (word == 0x464c457f) {  // ELF, of any vendor's machine
    uint16_t machine;
    memcpy(&machine, text + 18, sizeof machine);
    return machine == 190;  // EM_CUDA
  }
  return strncmp(text, "//", 2) == 0 || strncmp(text, ".version", 8) == 0;
}

Code launch_kernel(Call &call, const std::shared_ptr<Stream> &stream, const std::string &name, const Launch &launch) {
  if (stream->context != call.context) {
    report("misuse", "%s: the stream is not of the current context", call.name);
    return invalid_handle;
  }
  if (launch.blocks == 0 || launch.threads == 0 || launch.threads > 1024 || !launch.parameters) return invalid_value;
  const bool selected = name == selected_name;
  auto list = parameter<uint64_t>(launch, 0);
  auto count = parameter<uint64_t>(launch, selected ? 3 : 1);
  Selection selection{list, 0, 0, count, 1};
  if (selected) {
    selection.to = parameter<uint64_t>(launch, 1);
    selection.from = parameter<uint64_t>(launch, 2);
    selection.length = parameter<uint64_t>(launch, 4);
  }
  if (launch.threads != kernel_threads || count == 0 || count > most_blocks || selection.length == 0) {
    report("misuse", "%s of %llu blocks by CTAs of %u threads", name.c_str(), static_cast<unsigned long long>(count),
           launch.threads);
    return launch_failed;
  }
  uint64_t seed = engine().random();
  Work work{"a kernel", [=](Context &context, Code &code) {
              code = selected ? copy_selected(context, selection, seed) : copy_blocks(context, list, count, seed);
              return Step::done;
            }, {}};
  if (selected) {
    work.uses.push_back({selection.to, count * sizeof(uint32_t)});
    work.uses.push_back({selection.from, count * sizeof(uint32_t)});
  } else {
    work.uses.push_back({list, count * sizeof(Block)});
  }
  return submit(call, stream, std::move(work));
}

}  // namespace pirn::fake_gpu
