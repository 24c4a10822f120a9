// SPDX-License-Identifier: Apache-2.0
// Physical memory of a unit: bytes in a memory file that several processes can map. The address that an application
// knows is never this one, so that it cannot touch the bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>

namespace pirn::fake_gpu {

using ChunkName = std::array<uint8_t, 16>;

class Chunk {
 public:
  // Null: the file could not be made, or the unit is full.
  static std::shared_ptr<Chunk> create(uint32_t unit, uint64_t size, uint32_t handle_types);
  // What another process exported; null if `file` is none. The file stays the caller's.
  static std::shared_ptr<Chunk> from_file(int file);
  // What another process gave a name; null if there is none, its owner is gone, or freed it.
  static std::shared_ptr<Chunk> from_name(const ChunkName &name);
  ~Chunk();
  Chunk(const Chunk &) = delete;

  uint32_t unit() const { return unit_; }
  uint64_t size() const { return size_; }
  uint32_t handle_types() const { return handle_types_; }
  std::byte *bytes() const { return bytes_; }
  bool imported() const { return imported_; }
  bool freed_by_owner() const;
  int export_file() const;  // a new descriptor, or -1
  // Makes it findable by name; nullptr with the reason in errno.
  const ChunkName *name();
  void tell_freed();  // to whoever imported it

  std::shared_mutex moving;   // shared while bytes are copied; the bytes move to another file when it gets a name
  uint32_t handles = 0;       // that the application holds; guarded by the engine's lock
  uint32_t maps = 0;

 private:
  Chunk(int file, uint32_t unit, uint64_t size) : file_(file), unit_(unit), size_(size) {}
  bool map();
  static std::shared_ptr<Chunk> adopt(int file);

  int file_;
  uint32_t unit_;
  uint64_t size_;
  uint32_t handle_types_ = 0;
  bool imported_ = false;
  std::byte *bytes_ = nullptr;
  std::string path_;  // empty: has no name
  ChunkName name_{};
};

// Removes the files of processes that were killed.
void sweep_names();

}  // namespace pirn::fake_gpu
