// SPDX-License-Identifier: Apache-2.0
#include "local/guard.h"

#include "base/random.h"
#include "wire/bytes.h"

#include <array>
#include <mutex>
#include <utility>
#include <vector>

namespace pirn::local {

namespace {

using Word = std::atomic<uint64_t>;

// Grows, and never shrinks: a reader that was stopped may look at a word at any later time.
class Words {
 public:
  Word *take() {
    std::lock_guard guard(mutex_);
    if (free_.empty()) {
      blocks_.push_back(new Block);
      for (Word &word : *blocks_.back()) free_.push_back(&word);
    }
    Word *word = free_.back();
    free_.pop_back();
    return word;
  }
  void give_back(Word *word) {
    std::lock_guard guard(mutex_);
    free_.push_back(word);
  }

 private:
  using Block = std::array<Word, 512>;
  std::mutex mutex_;
  std::vector<Block *> blocks_;
  std::vector<Word *> free_;
};

Words &words() {
  static Words *made = new Words;  // outlives endpoints that are closed by static destructors
  return *made;
}

}  // namespace

Guard::Guard(Guard &&other) noexcept
    : word_(std::exchange(other.word_, nullptr)), value_(std::exchange(other.value_, 0)) {}

Guard &Guard::operator=(Guard &&other) noexcept {
  if (this != &other) {
    close();
    word_ = std::exchange(other.word_, nullptr);
    value_ = std::exchange(other.value_, 0);
  }
  return *this;
}

Guard Guard::make() {
  Guard guard;
  guard.word_ = words().take();
  guard.value_ = random_u64();
  guard.word_->store(guard.value_);
  return guard;
}

void Guard::close() {
  if (word_ == nullptr) return;
  word_->store(0);
  // Whoever sees what is written into the window's memory after this sees the word changed, too.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  words().give_back(std::exchange(word_, nullptr));
}

wire::ShareWord Guard::word() const { return {reinterpret_cast<uintptr_t>(word_), value_}; }

wire::ShareHandle guard_handle(const Guard &guard) {
  const wire::ShareWord word = guard.word();
  wire::ShareHandle handle{wire::ShareHandleKind::host_guard, wire::ShareHandle::no_file, {}};
  for (const uint64_t number : {word.address, word.value})
    for (unsigned shift = 0; shift < 64; shift += 8) handle.bytes.push_back(static_cast<std::byte>(number >> shift & 0xff));
  return handle;
}

std::optional<wire::ShareWord> guard_of(const wire::ShareChunk &chunk) {
  for (const wire::ShareHandle &handle : chunk.handles) {
    if (handle.kind != wire::ShareHandleKind::host_guard || handle.bytes.size() != 2 * sizeof(uint64_t)) continue;
    wire::Reader reader(handle.bytes);
    wire::ShareWord word;
    word.address = reader.u64();
    word.value = reader.u64();
    return word;
  }
  return std::nullopt;
}

}  // namespace pirn::local
