// SPDX-License-Identifier: Apache-2.0
// The kernel's own source, on the CPU: which bytes go where does not depend on the machine.
#include "../check.h"
#include "kernel_on_cpu.h"

#include "../../../providers/device/kernels/copy_blocks.h"
#include "device/operations.h"

#include <algorithm>
#include <numeric>

using pirn::device::Block;
namespace kernels = pirn::kernels;

static_assert(sizeof(Block) == sizeof(kernels::Block) && offsetof(Block, to) == offsetof(kernels::Block, to) &&
              offsetof(Block, from) == offsetof(kernels::Block, from) &&
              offsetof(Block, length) == offsetof(kernels::Block, length) &&
              offsetof(Block, before) == offsetof(kernels::Block, before));

namespace {

constexpr unsigned threads = 64;

struct Piece {
  size_t to_gap, from_gap;  // bytes left free before it, on either side
  size_t length;
};

// A list in two buffers. The sources lie in another order than the targets.
class Case {
 public:
  Case(Seeded &random, const std::vector<Piece> &pieces) {
    size_t to = 64, from = 64;
    for (const Piece &piece : pieces) to += piece.to_gap + piece.length, from += piece.from_gap + piece.length;
    source_ = random.bytes(from + 64);
    target_ = random.bytes(to + 64);
    wanted_ = target_;
    std::vector<size_t> order(pieces.size());
    std::iota(order.begin(), order.end(), size_t{0});
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.between(0, i - 1)]);
    std::vector<size_t> target_of(pieces.size());
    to = aligned(target_);
    for (size_t i = 0; i < pieces.size(); ++i) {
      target_of[i] = to + pieces[i].to_gap;
      to = target_of[i] + pieces[i].length;
    }
    from = aligned(source_);
    blocks_.resize(pieces.size());
    for (const size_t i : order) {
      from += pieces[i].from_gap;
      blocks_[i] = Block{target_.data() + target_of[i], source_.data() + from, pieces[i].length, 0};
      std::copy_n(source_.begin() + static_cast<ptrdiff_t>(from), pieces[i].length,
                  wanted_.begin() + static_cast<ptrdiff_t>(target_of[i]));
      from += pieces[i].length;
    }
    for (size_t i = order.size(); i > 1; --i) std::swap(blocks_[i - 1], blocks_[random.between(0, i - 1)]);
    bytes_ = pirn::device::chain(blocks_);
  }

  void run(unsigned ctas, uint64_t across_below) { run(ctas, across_below, 0, blocks_.size()); }

  void run(unsigned ctas, uint64_t across_below, size_t begin, size_t end) {
    static kernels::Shared<threads> shared;
    const auto *list = reinterpret_cast<const kernels::Block *>(blocks_.data()) + begin;
    kernels::run(ctas, threads, [&] {
      kernels::copy_blocks<threads, 4>(list, static_cast<unsigned>(end - begin), across_below, shared);
    });
  }

  void expect_copied() const {
    const auto differ = std::mismatch(target_.begin(), target_.end(), wanted_.begin());
    if (differ.first != target_.end())
      fail_test("byte %zu of %zu differs", static_cast<size_t>(differ.first - target_.begin()), target_.size());
  }

  size_t count() const { return blocks_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  static size_t aligned(const std::vector<std::byte> &buffer) {
    return (0 - reinterpret_cast<uintptr_t>(buffer.data())) % 16;
  }

  std::vector<std::byte> source_, target_, wanted_;
  std::vector<Block> blocks_;
  uint64_t bytes_ = 0;
};

std::vector<Piece> equal(size_t count, size_t length, size_t to_gap = 0, size_t from_gap = 0) {
  return std::vector<Piece>(count, Piece{to_gap, from_gap, length});
}

// Both ways of the kernel.
void copies(const std::vector<Piece> &pieces, const std::vector<unsigned> &budgets) {
  Seeded random;
  for (const unsigned ctas : budgets)
    for (const uint64_t across_below : {uint64_t{0}, UINT64_MAX}) {
      Case one(random, pieces);
      one.run(ctas, across_below);
      one.expect_copied();
    }
}

}  // namespace

static void copy__equal_blocks__arrive(void **) { copies(equal(300, 4096, 32, 48), {1, 7, 16}); }
static void copy__one_block__is_cut_between_ctas(void **) { copies(equal(1, 300000), {1, 5}); }
static void copy__one_byte__arrives(void **) { copies(equal(1, 1), {1, 3}); }
static void copy__more_ctas_than_bytes__arrives(void **) { copies(equal(3, 5, 1, 2), {9}); }
static void copy__short_rows__arrive(void **) { copies(equal(2000, 64, 16, 0), {1, 6}); }

static void copy__every_misalignment__arrives(void **) {
  std::vector<Piece> pieces;
  for (size_t to = 0; to < 16; ++to)
    for (size_t from = 0; from < 16; ++from) pieces.push_back({to, from, 700 + 7 * to + from});
  copies(pieces, {1, 4});
}

static void copy__equally_misaligned__arrives(void **) {
  std::vector<Piece> pieces;
  for (size_t by = 0; by < 16; ++by) pieces.push_back({(16 - by) % 16, (16 - by) % 16, 5000 + by});
  copies(pieces, {3});
}

static void copy__blocks_without_bytes__are_skipped(void **) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < 400; ++i) pieces.push_back({0, 16, i % 3 == 1 ? size_t{2048} : size_t{0}});
  copies(pieces, {1, 5});
}

static void copy__nothing_but_empty_blocks__writes_nothing(void **) { copies(equal(5, 0, 3, 3), {1, 2}); }

static void copy__one_giant_among_dwarfs__arrives(void **) {
  std::vector<Piece> pieces = equal(500, 16, 16, 16);
  pieces[250].length = 400000;
  copies(pieces, {1, 8});
}

static void copy__random_lists__arrive(void **) {
  Seeded random;
  for (int round = 0; round < 12; ++round) {
    std::vector<Piece> pieces(random.between(1, 400));
    const uint64_t unit = random.between(0, 1) != 0 ? 16 : 1;
    const uint64_t longest = random.between(1, 9000) / unit;
    for (Piece &piece : pieces)
      piece = {random.between(0, 40) * unit, random.between(0, 40) * unit, random.between(0, longest) * unit};
    Case one(random, pieces);
    one.run(static_cast<unsigned>(random.between(1, 12)), random.between(0, 4096));
    one.expect_copied();
  }
}

static void copy__parts_of_a_list__make_the_whole(void **) {
  Seeded random;
  Case one(random, equal(100, 3000, 8, 8));
  const size_t cut = random.between(1, one.count() - 1);
  one.run(3, 0, 0, cut);
  one.run(3, 0, cut, one.count());
  one.expect_copied();
}

static void selected__pairs_by_index__arrive(void **) {
  Seeded random;
  static kernels::Shared<threads> shared;
  for (const unsigned ctas : {1u, 3u, 16u}) {
    const uint64_t length = random.between(1, 3000);
    const unsigned places = static_cast<unsigned>(random.between(1, 300)), count = static_cast<unsigned>(random.between(1, places));
    std::vector<std::byte> source = random.bytes(places * length), target = random.bytes(places * length), wanted = target;
    std::vector<Block> list(places);
    std::vector<unsigned> to(places), from(places);
    for (unsigned i = 0; i < places; ++i) {
      list[i] = {target.data() + i * length, source.data() + i * length, length, 0};
      to[i] = from[i] = i;
    }
    for (unsigned i = places; i > 1; --i) {
      std::swap(to[i - 1], to[random.between(0, i - 1)]);
      std::swap(from[i - 1], from[random.between(0, i - 1)]);
    }
    for (unsigned i = 0; i < count; ++i)
      std::copy_n(source.begin() + static_cast<ptrdiff_t>(from[i] * length), length,
                  wanted.begin() + static_cast<ptrdiff_t>(to[i] * length));
    const kernels::Selected selected{reinterpret_cast<const kernels::Block *>(list.data()), to.data(), from.data(), length};
    kernels::run(ctas, threads, [&] {
      kernels::copy_list<threads, 4>(selected, count, 4096, shared);
    });
    assert_memory_equal(target.data(), wanted.data(), target.size());
  }
}

static void chain__list__holds_the_bytes_ahead(void **) {
  Block blocks[3];
  blocks[0].length = 7, blocks[1].length = 0, blocks[2].length = 5;
  assert_int_equal(pirn::device::chain(blocks), 12);
  assert_int_equal(blocks[0].before, 0);
  assert_int_equal(blocks[1].before, 7);
  assert_int_equal(blocks[2].before, 7);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(copy__equal_blocks__arrive),
      cmocka_unit_test(copy__one_block__is_cut_between_ctas),
      cmocka_unit_test(copy__one_byte__arrives),
      cmocka_unit_test(copy__more_ctas_than_bytes__arrives),
      cmocka_unit_test(copy__short_rows__arrive),
      cmocka_unit_test(copy__every_misalignment__arrives),
      cmocka_unit_test(copy__equally_misaligned__arrives),
      cmocka_unit_test(copy__blocks_without_bytes__are_skipped),
      cmocka_unit_test(copy__nothing_but_empty_blocks__writes_nothing),
      cmocka_unit_test(copy__one_giant_among_dwarfs__arrives),
      cmocka_unit_test(copy__random_lists__arrive),
      cmocka_unit_test(copy__parts_of_a_list__make_the_whole),
      cmocka_unit_test(selected__pairs_by_index__arrive),
      cmocka_unit_test(chain__list__holds_the_bytes_ahead),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
