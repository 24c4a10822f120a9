// SPDX-License-Identifier: Apache-2.0
// A word of this process that says whether a window is open, for peers that read the window by the kernel
// (local/cross_memory.h): they read it after the bytes, and only if it still has its value the bytes were the window's. So
// the owner need not wait for a reader that is stopped.
//
//   make() when a peer is told where the window lies; close() before the window's memory is the owner's alone again
//
// Words are never unmapped, and no value is ever used twice: not by another window in the same word, nor by the next program
// of a process that executes one, for values are random. Making and ending are thread-safe.
#pragma once

#include "wire/share.h"

#include <atomic>
#include <cstdint>
#include <optional>

namespace pirn::local {

class Guard {
 public:
  Guard() = default;  // none
  Guard(Guard &&other) noexcept;
  Guard &operator=(Guard &&other) noexcept;
  ~Guard() { close(); }

  static Guard make();
  bool is_open() const { return word_ != nullptr; }
  void close();  // whoever reads the word from now on finds another value; may be called again
  wire::ShareWord word() const;  // of an open one

 private:
  std::atomic<uint64_t> *word_ = nullptr;
  uint64_t value_ = 0;
};

wire::ShareHandle guard_handle(const Guard &guard);
// The guard of a chunk; nothing if the owner has not told one.
std::optional<wire::ShareWord> guard_of(const wire::ShareChunk &chunk);

}  // namespace pirn::local
