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

// pirn_copy_blocks(const Block *blocks, uint64_t count), as providers/device/kernel_image.h has it; in any order.
Code copy_blocks(Context &context, uint64_t list, uint64_t count, uint64_t seed) {
  std::vector<Block> blocks(count);
  auto own = reinterpret_cast<uint64_t>(blocks.data());
  std::vector<Span> spans;
  {
    Lock lock(engine().lock);
    if (resolve(context, {list, count * sizeof(Block)}, {false, true}, spans) != ok) return illegal_address;
  }
  if (Code code = transfer(context, own, list, count * sizeof(Block), false, seed); code != ok) return code;
  if (!is_chain(blocks)) {
    report("misuse", "pirn_copy_blocks: `before` of a block is not the sum of the lengths ahead of it");
    return illegal_address;
  }
  std::mt19937_64 random(seed);
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (const Block &block : blocks) {
    if (block.length == 0) continue;
    Code code = transfer(context, block.to, block.from, block.length, true, random());
    if (code != ok) return code;
  }
  return ok;
}

template <typename T>
T parameter(const Launch &launch, size_t index) {
  T value;
  memcpy(&value, launch.parameters[index], sizeof value);
  return value;
}

}  // namespace

bool knows_kernel(const std::string &name) { return name == "pirn_copy_blocks"; }

bool looks_like_image(const void *image) {
  uint32_t word;
  memcpy(&word, image, sizeof word);
  if (word == 0xba55ed50 || word == 0x466243b1 || word == 0x464c457f) return true;  // fatbin, its wrapper, ELF
  const char *text = static_cast<const char *>(image);
  return strncmp(text, "//", 2) == 0 || strncmp(text, ".version", 8) == 0 || strncmp(text, "__CLANG_OFFLOAD", 15) == 0;
}

Code launch_kernel(Call &call, const std::shared_ptr<Stream> &stream, const std::string &, const Launch &launch) {
  if (stream->context != call.context) {
    report("misuse", "%s: the stream is not of the current context", call.name);
    return invalid_handle;
  }
  if (launch.blocks == 0 || launch.threads == 0 || launch.threads > 1024 || !launch.parameters) return invalid_value;
  auto list = parameter<uint64_t>(launch, 0);
  auto count = parameter<uint64_t>(launch, 1);
  if (launch.threads != kernel_threads || count == 0 || count > most_blocks) {
    report("misuse", "pirn_copy_blocks of %llu blocks by CTAs of %u threads", static_cast<unsigned long long>(count),
           launch.threads);
    return launch_failed;
  }
  uint64_t seed = engine().random();
  Work work{"a kernel", [=](Context &context, Code &code) {
              code = copy_blocks(context, list, count, seed);
              return Step::done;
            }, {}};
  work.uses.push_back({list, count * sizeof(Block)});
  return submit(call, stream, std::move(work));
}

}  // namespace pirn::fake_gpu
