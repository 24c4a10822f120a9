// SPDX-License-Identifier: Apache-2.0
#include "fake_device.h"

#include <fcntl.h>
#include <set>

namespace fixture {

FakeDevice fake;
static std::set<void *> host_blocks;

void reset_fake() {
  for (void *block : host_blocks) std::free(block);
  host_blocks.clear();
  fake = {};
}

size_t fake_host_blocks() { return host_blocks.size(); }

static Result<void *> fake_allocate_host(uint64_t length) { return *host_blocks.insert(std::malloc(length)).first; }

static Status fake_release_host(void *block) {
  assert_int_equal(host_blocks.erase(block), 1);
  std::free(block);
  return Status::ok();
}

static Status status_of(pirn_status code, const char *what) {
  return code == PIRN_OK ? Status::ok() : fail(code, "%s: made to fail", what);
}

static Result<void *> map_file(int file, uint64_t length, bool writable) {
  struct stat found;
  if (fstat(file, &found) != 0 || static_cast<uint64_t>(found.st_size) < length)
    return fail(PIRN_ERR_RANGE, "no %llu bytes", static_cast<unsigned long long>(length));
  void *const address = mmap(nullptr, length, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, file, 0);
  if (address == MAP_FAILED) return fail(PIRN_ERR_IO, "mmap: %s", std::strerror(errno));
  return address;
}

static Result<void *> fake_map(uint32_t device, const device::Handle &handle, uint64_t length, bool writable) {
  assert_int_equal(device, fake_ordinal);
  fake.mapped.push_back(handle.kind);
  if ((fake.failing & bit(handle.kind)) != 0) return fail(PIRN_ERR_UNAVAILABLE, "no such luck");
  if (handle.kind == device::HandleKind::file) return map_file(handle.file, length, writable);
  const std::string path(reinterpret_cast<const char *>(handle.bytes.data()));
  const Fd file(open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (!file.is_open()) return fail(PIRN_ERR_IO, "open %s: %s", path.c_str(), std::strerror(errno));
  return map_file(file.get(), length, writable);
}

static Status fake_unmap(uint32_t, void *address, uint64_t length, device::HandleKind kind) {
  fake.unmapped.push_back(kind);
  return munmap(address, length) == 0 ? Status::ok() : fail(PIRN_ERR_IO, "munmap");
}

static Status fake_copy(uint32_t, void *, void *to, const void *from, uint64_t length) {
  std::memcpy(to, from, length);
  const auto *bytes = static_cast<const std::byte *>(to);
  fake.copied.emplace_back(bytes, bytes + length);
  return status_of(fake.copy, "copy");
}

static Status fake_finish(uint32_t, void *, uint64_t timeout) {
  fake.patience.push_back(timeout);
  return status_of(fake.finish, "finish");
}

static Result<void *> fake_make_stream(uint32_t) {
  if (fake.make_stream != PIRN_OK) return status_of(fake.make_stream, "make_stream");
  ++fake.streams_made;
  ++fake.streams;
  return static_cast<void *>(&fake);
}

const device::Operations *fake_operations() {
  static const device::Operations table = [] {
    device::Operations made{};  // the other slots are not called
    made.name = "fake";
    made.map = fake_map;
    made.unmap = fake_unmap;
    made.copy = fake_copy;
    made.finish = fake_finish;
    made.allocate_host = fake_allocate_host;
    made.release_host = fake_release_host;
    made.make_stream = fake_make_stream;
    made.drop_stream = [](uint32_t, void *) { return --fake.streams, Status::ok(); };
    return made;
  }();
  return &table;
}

wire::ShareHandle legacy_handle(int file) {
  const std::string path = text("/proc/%d/fd/%d", getpid(), file);
  wire::ShareHandle handle{wire::ShareHandleKind::device_legacy, wire::ShareHandle::no_file, {}};
  handle.bytes.resize(wire::share_handle_bytes);
  std::memcpy(handle.bytes.data(), path.data(), path.size());
  return handle;
}

}  // namespace fixture
