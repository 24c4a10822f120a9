// SPDX-License-Identifier: Apache-2.0
// The kernels as the vendor's module loader takes them. They are compiled when pirn is built, if the compiler is there.
//
// A module has these entries (extern "C"); whoever interprets launches by name needs no more than this page.
//   pirn_copy_blocks(const Block *blocks, uint64_t count)
//     Copies every block; 1 <= count <= copy_blocks_most. `blocks`: pirn::device::Block, `before` of each filled in.
//     CTAs of copy_blocks_threads threads, any number of them in one dimension, no dynamic shared memory. Each copies an
//     equal share of all bytes; so fewer CTAs are slower, not wrong. Blocks must not overlap.
//   pirn_copy_selected(const Block *list, const uint32_t *to, const uint32_t *from, uint64_t count, uint64_t length)
//     The same for blocks of one length: the i-th goes to list[to[i]].to from list[from[i]].from. length > 0.
#pragma once

#include <cstdint>
#include <span>

namespace pirn::device {

constexpr const char *copy_blocks_entry = "pirn_copy_blocks";
constexpr const char *copy_selected_entry = "pirn_copy_selected";
constexpr uint32_t copy_blocks_threads = 512;
constexpr uint64_t copy_blocks_most = 1u << 30;  // blocks in one launch

struct KernelImage {
  std::span<const unsigned char> bytes;  // empty: there is none
  const char *missing = nullptr;         // why there is none
};

}  // namespace pirn::device
