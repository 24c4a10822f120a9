// SPDX-License-Identifier: Apache-2.0
// Chunks, with the traps of the version that is shown.
#include "shim.h"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <mutex>

namespace pirn::shim {
namespace {

// ROCm/rocm-systems#8440: the descriptor that a chunk was first exported as is duplicated for every later export, open
// or not.
struct Exports {
  std::mutex mutex;
  std::map<void *, int> first;
};
Exports &exports() {
  static Exports *one = new Exports;  // never destroyed: see shim.cpp
  return *one;
}

cuda::Chunk chunk_of(void *handle) { return reinterpret_cast<cuda::Chunk>(handle); }
void *handle_of(cuda::Chunk chunk) { return reinterpret_cast<void *>(chunk); }

cuda::Properties properties_of(const hip::AllocationProperties &wanted) {
  cuda::Properties properties{};
  properties.type = wanted.type;
  properties.handle_types = wanted.handle_kinds;
  properties.location = {wanted.location.type, wanted.location.id};
  return properties;
}

bool has_chunks() { return shown_version() >= hip::types_renumbered_since; }

int reserved(const Driver &all, size_t length, size_t alignment, void *hint, void **address) {
  cuda::Pointer start = 0;
  const int error = all.cuMemAddressReserve(&start, length, alignment, pointer_of(hint), 0);
  *address = address_of(start);
  return error;
}

}  // namespace

int hipMemGetAllocationGranularity(size_t *bytes, const hip::AllocationProperties *properties, int option) {
  if (!has_chunks()) return told(hip::error_not_supported);
  const cuda::Properties wanted = properties_of(*properties);
  return forward([&](const Driver &all) { return all.cuMemGetAllocationGranularity(bytes, &wanted, option); });
}

int hipMemCreate(void **chunk, size_t length, const hip::AllocationProperties *properties, unsigned long long flags) {
  const bool shared = properties->handle_kinds != hip::handle_none;
  if (!has_chunks() || (shared && shown_version() < hip::chunks_since)) return told(hip::error_not_supported);
  const cuda::Properties wanted = properties_of(*properties);
  cuda::Chunk made = 0;
  const int error = forward([&](const Driver &all) { return all.cuMemCreate(&made, length, &wanted, flags); });
  *chunk = handle_of(made);
  return error;
}

int hipMemRelease(void *chunk) {
  {
    const std::lock_guard lock(exports().mutex);
    exports().first.erase(chunk);  // the driver may give the number to another
  }
  return forward([=](const Driver &all) { return all.cuMemRelease(chunk_of(chunk)); });
}

int hipMemAddressReserve(void **address, size_t length, size_t alignment, void *hint, unsigned long long flags) {
  if (flags != 0) return told(hip::error_invalid_value);
  return forward([=](const Driver &all) { return reserved(all, length, alignment, hint, address); });
}

int hipMemAddressFree(void *address, size_t length) {
  return forward([=](const Driver &all) { return all.cuMemAddressFree(pointer_of(address), length); });
}

int hipMemMap(void *address, size_t length, size_t offset, void *chunk, unsigned long long flags) {
  if (offset != 0) return told(hip::error_invalid_value);  // HIP maps whole chunks only
  return forward(
      [=](const Driver &all) { return all.cuMemMap(pointer_of(address), length, 0, chunk_of(chunk), flags); });
}

int hipMemUnmap(void *address, size_t length) {
  return forward([=](const Driver &all) { return all.cuMemUnmap(pointer_of(address), length); });
}

int hipMemSetAccess(void *address, size_t length, const hip::Access *access, size_t count) {
  return forward([=](const Driver &all) {
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
      const cuda::Access one{{access[i].location.type, access[i].location.id}, access[i].flags};
      error = all.cuMemSetAccess(pointer_of(address), length, &one, 1);
    }
    return error;
  });
}

int hipMemExportToShareableHandle(void *handle, void *chunk, int kind, unsigned long long flags) {
  if (kind != hip::handle_file) return told(hip::error_not_supported);
  Exports &all_exports = exports();
  const std::lock_guard lock(all_exports.mutex);
  int *const file = static_cast<int *>(handle);
  const auto found = all_exports.first.find(chunk);
  if (shown_version() < hip::retains_since && found != all_exports.first.end()) {
    *file = fcntl(found->second, F_DUPFD_CLOEXEC, 0);
    return *file < 0 ? told(hip::error_invalid_value) : 0;
  }
  const int error =
      forward([=](const Driver &all) { return all.cuMemExportToShareableHandle(file, chunk_of(chunk), kind, flags); });
  if (error == 0) all_exports.first[chunk] = *file;
  return error;
}

int hipMemImportFromShareableHandle(void **chunk, void *handle, int kind) {
  if (kind != hip::handle_file || handle == nullptr) return told(hip::error_invalid_value);
  if (shown_version() < hip::file_by_value_since) {
    // The real one reads from there; a small number is no address, and the signal would tell nobody why.
    if (reinterpret_cast<uintptr_t>(handle) < 65536) {
      std::fputs("pirn-hip-shim: hipMemImportFromShareableHandle before 7.1 takes the address of a descriptor\n", stderr);
      std::abort();
    }
    handle = reinterpret_cast<void *>(static_cast<intptr_t>(*static_cast<int *>(handle)));
  }
  cuda::Chunk found = 0;
  const int error =
      forward([&](const Driver &all) { return all.cuMemImportFromShareableHandle(&found, handle, kind); });
  *chunk = handle_of(found);
  return error;
}

int hipMemRetainAllocationHandle(void **chunk, void *address) {
  cuda::Chunk found = 0;
  const int error = forward([&](const Driver &all) { return all.cuMemRetainAllocationHandle(&found, address); });
  *chunk = handle_of(found);
  if (shown_version() >= hip::retains_since) return error;
  if (error != 0) {
    std::fputs("pirn-hip-shim: hipMemRetainAllocationHandle before 7.15, of no chunk: null is dereferenced\n", stderr);
    std::abort();
  }
  return told(driver().cuMemRelease(found));  // it gave the handle, and took no reference
}

}  // namespace pirn::shim
