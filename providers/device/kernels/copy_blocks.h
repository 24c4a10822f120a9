// SPDX-License-Identifier: Apache-2.0
// A gather/scatter copy: a list of blocks, each anywhere, of any length and alignment.
//
// The list is taken as one run of bytes, in its order: every CTA copies an equal share of them, every group of 32
// threads an equal share of its CTA's, so that it does not matter how lengths are mixed. `before` of each block is what
// makes the start of a share a search instead of a sum. The list may lie in host memory: a CTA reads little more
// of it than it copies, a block per thread, and one part ahead.
#pragma once

#include "portable.h"

namespace pirn::kernels {

// The layout of pirn::device::Block.
struct Block {
  char *to;
  const char *from;
  uint64_t length;
  uint64_t before;  // bytes of the blocks ahead in the list
};

// Lists, as the kernel reads them.
struct Whole {
  const Block *blocks;
  PIRN_DEVICE Block at(unsigned i) const { return blocks[i]; }
  PIRN_DEVICE uint64_t before(unsigned i) const { return blocks[i].before; }
};
// Target and source by index from a list of blocks of one length.
struct Selected {
  const Block *list;
  const unsigned *to;
  const unsigned *from;
  uint64_t length;
  PIRN_DEVICE Block at(unsigned i) const { return {list[to[i]].to, list[from[i]].from, length, before(i)}; }
  PIRN_DEVICE uint64_t before(unsigned i) const { return i * length; }
};

constexpr unsigned lanes = 32;         // threads that copy together; no assumption about a warp
constexpr uint64_t granule = 512;      // a block is cut at multiples of this
constexpr unsigned spare_blocks = 16;  // read beyond what the mean length lets expect

template <unsigned threads>
struct Shared {
  Block chunk[threads];
  uint64_t begin, end;
  unsigned low, high;
};

// A place in a chunk.
struct Cut {
  unsigned index;
  uint64_t offset;
};

template <typename T>
PIRN_DEVICE T least(T a, T b) {
  return a < b ? a : b;
}
template <typename T>
PIRN_DEVICE T most(T a, T b) {
  return a < b ? b : a;
}

// -- Where a share begins

// Index of the last block with before <= x. All threads of the CTA call it and get the same.
template <unsigned threads, typename List>
PIRN_DEVICE unsigned find(const List &list, unsigned count, uint64_t x, Shared<threads> &shared) {
  unsigned low = 0, high = count;
  // Where blocks are of equal length, proportion tells the place at once.
  const double part = static_cast<double>(x - shared.begin) / static_cast<double>(shared.end - shared.begin);
  uint64_t probe = static_cast<uint64_t>(part * count) + thread();
  probe = probe > lanes / 2 ? probe - lanes / 2 : 0;
  while (high - low > 1) {
    if (thread() == 0) shared.low = low, shared.high = high;
    barrier();
    if (thread() < lanes && probe > low && probe < high) {
      if (list.before(static_cast<unsigned>(probe)) <= x)
        raise_to(&shared.low, static_cast<unsigned>(probe));
      else
        lower_to(&shared.high, static_cast<unsigned>(probe));
    }
    barrier();
    low = shared.low;
    high = shared.high;
    probe = low + static_cast<uint64_t>(high - low) * thread() / lanes;
    barrier();
  }
  return low;
}

// The place of byte x of the list in a chunk of n blocks. It depends on x and the block alone, so the one whose
// share ends there and the one whose share begins there agree.
PIRN_DEVICE Cut place(const Block *chunk, unsigned n, uint64_t x) {
  unsigned low = 0, high = n;
  while (high - low > 1) {
    const unsigned middle = low + (high - low) / 2;
    if (chunk[middle].before <= x)
      low = middle;
    else
      high = middle;
  }
  const uint64_t offset = x - chunk[low].before;
  return {low, offset < chunk[low].length ? offset - offset % granule : chunk[low].length};
}

// -- Copying by a group

// Words of T; both addresses are as far from a multiple of its size.
template <typename T, unsigned unroll>
PIRN_DEVICE void copy_words(char *to, const char *from, uint64_t length, unsigned lane) {
  const uint64_t misplaced = (0 - reinterpret_cast<uintptr_t>(to)) % sizeof(T);
  const uint64_t head = least<uint64_t>(misplaced, length);
  const uint64_t words = (length - head) / sizeof(T);
  const uint64_t tail = head + words * sizeof(T);
  if (lane < head) to[lane] = from[lane];
  if (lane < length - tail) to[tail + lane] = from[tail + lane];
  const T *source = reinterpret_cast<const T *>(from + head);
  T *target = reinterpret_cast<T *>(to + head);
  for (uint64_t i = lane; i < words; i += lanes * unroll) {
    T word[unroll];
    PIRN_UNROLL
    for (unsigned u = 0; u < unroll; ++u)
      if (i + u * lanes < words) word[u] = load(source + i + u * lanes);
    PIRN_UNROLL
    for (unsigned u = 0; u < unroll; ++u)
      if (i + u * lanes < words) store(target + i + u * lanes, word[u]);
  }
}

template <unsigned unroll>
PIRN_DEVICE void copy_span(char *to, const char *from, uint64_t length, unsigned lane) {
  const uint64_t apart = reinterpret_cast<uintptr_t>(to) ^ reinterpret_cast<uintptr_t>(from);
  if (apart % 16 == 0)
    copy_words<Word16, unroll>(to, from, length, lane);
  else if (apart % 8 == 0)
    copy_words<uint64_t, unroll>(to, from, length, lane);
  else if (apart % 4 == 0)
    copy_words<uint32_t, unroll>(to, from, length, lane);
  else
    copy_words<uint8_t, unroll>(to, from, length, lane);
}

// One block after the other.
template <unsigned unroll>
PIRN_DEVICE void copy_each(const Block *chunk, Cut from, Cut to, unsigned lane) {
  for (unsigned i = from.index; i <= to.index; ++i) {
    const uint64_t begin = i == from.index ? from.offset : 0;
    const uint64_t end = i == to.index ? to.offset : chunk[i].length;
    if (begin < end) copy_span<unroll>(chunk[i].to + begin, chunk[i].from + begin, end - begin, lane);
  }
}

// Across the ends of blocks, so that short ones keep as many loads in flight as long ones; everything is in whole
// words of 16 bytes.
template <unsigned unroll>
PIRN_DEVICE void copy_across(const Block *chunk, Cut from, Cut to, unsigned lane) {
  const uint64_t end = chunk[to.index].before + to.offset;
  unsigned index = from.index;
  for (uint64_t x = chunk[index].before + from.offset + lane * 16; x < end; x += unroll * lanes * 16) {
    Word16 word[unroll];
    char *target[unroll];
    PIRN_UNROLL
    for (unsigned u = 0; u < unroll; ++u) {
      const uint64_t at = x + u * lanes * 16;
      if (at < end) {
        while (at - chunk[index].before >= chunk[index].length) ++index;
        const uint64_t offset = at - chunk[index].before;
        word[u] = load(reinterpret_cast<const Word16 *>(chunk[index].from + offset));
        target[u] = chunk[index].to + offset;
      }
    }
    PIRN_UNROLL
    for (unsigned u = 0; u < unroll; ++u)
      if (x + u * lanes * 16 < end) store(reinterpret_cast<Word16 *>(target[u]), word[u]);
  }
}

// -- The kernel

PIRN_DEVICE bool is_odd(const Block &block) {
  return ((reinterpret_cast<uintptr_t>(block.to) | reinterpret_cast<uintptr_t>(block.from) | block.length) & 15) != 0;
}

// Bytes x..stop of the list as far as they are in the chunk: every group its part of them.
template <unsigned threads, unsigned unroll>
PIRN_DEVICE void copy_chunk(const Block *chunk, unsigned n, uint64_t x, uint64_t stop, bool across) {
  constexpr unsigned groups = threads / lanes;
  const unsigned group = thread() / lanes;
  const uint64_t last = least(stop, chunk[n - 1].before + chunk[n - 1].length);
  const Cut from = place(chunk, n, x + (last - x) * group / groups);
  const Cut to = place(chunk, n, x + (last - x) * (group + 1) / groups);
  if (across)
    copy_across<unroll>(chunk, from, to, thread() % lanes);
  else
    copy_each<unroll>(chunk, from, to, thread() % lanes);
}

// `across_below`: blocks of a smaller mean length are copied across their ends where alignment allows.
template <unsigned threads, unsigned unroll, typename List>
PIRN_DEVICE void copy_list(const List &list, unsigned count, uint64_t across_below, Shared<threads> &shared) {
  if (thread() == 0) {
    shared.begin = list.before(0);
    shared.end = list.before(count - 1) + list.at(count - 1).length;
  }
  barrier();
  const uint64_t total = shared.end - shared.begin;
  const uint64_t least_share = granule * (threads / lanes);
  const uint64_t share = most((total + ctas() - 1) / ctas(), least_share);
  uint64_t x = shared.begin + share * cta();
  if (x >= shared.end) return;
  const uint64_t stop = least(x + share, shared.end);
  const uint64_t expected = static_cast<uint64_t>(static_cast<double>(share) / static_cast<double>(total) * count);
  const unsigned most_blocks = static_cast<unsigned>(least<uint64_t>(expected + spare_blocks, threads));

  unsigned base = find(list, count, x, shared);
  unsigned n = least(most_blocks, count - base);
  Block mine{};
  if (thread() < n) mine = list.at(base + thread());
  while (true) {
    shared.chunk[thread()] = mine;
    const bool odd = any(thread() < n && is_odd(mine));
    const uint64_t end = shared.chunk[n - 1].before + shared.chunk[n - 1].length;
    const bool across = !odd && (end - shared.chunk[0].before) / n < across_below;
    const unsigned copied = n;
    base += n;
    n = least(most_blocks, count - base);
    if (end < stop && thread() < n) mine = list.at(base + thread());  // arrives while this chunk is copied
    copy_chunk<threads, unroll>(shared.chunk, copied, x, stop, across);
    if (end >= stop) return;
    x = end;
    barrier();
  }
}

template <unsigned threads, unsigned unroll>
PIRN_DEVICE void copy_blocks(const Block *blocks, unsigned count, uint64_t across_below, Shared<threads> &shared) {
  copy_list<threads, unroll>(Whole{blocks}, count, across_below, shared);
}

}  // namespace pirn::kernels
