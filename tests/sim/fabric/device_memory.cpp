// SPDX-License-Identifier: Apache-2.0
#include "device_memory.h"

#include "sim.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>

namespace pirn::sim_nic {
namespace {

using Pointer = unsigned long long;
constexpr uint64_t page = 4096;
constexpr uint64_t for_a_nic = 0x7069726e;  // a flag of the fake driver's own
constexpr int memory_type = 2, synchronous_copies = 6, device_ordinal = 9, has_legacy_handle = 10;
constexpr int type_device = 2;

// How many libraries were loaded so far: to ask for one by its name, in vain, costs the loader a search of the file system.
unsigned long long loads() {
  unsigned long long count = 0;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *out) {
        *static_cast<unsigned long long *>(out) = info->dlpi_adds;
        return 1;
      },
      &count);
  return count;
}

// A kind of device memory, and the fake runtime that tells of it. The fake HIP runtime has the fake CUDA driver inside, and
// shows its symbols, too.
struct Driver {
  fi_hmem_iface interface;
  const char *name;
  const char *library;
  bool orders_copies;  // CU_POINTER_ATTRIBUTE_SYNC_MEMOPS is wanted
  int (*attribute)(void *, int, Pointer) = nullptr;                         // cuPointerGetAttribute
  int (*export_range)(void *, Pointer, size_t, int, unsigned long long) = nullptr;  // cuMemGetHandleForAddressRange

  std::atomic<unsigned long long> asked = 0;  // loads() when the library was looked for last

  // The library is loaded at any time, and never unloaded.
  bool here() {
    if (attribute) return true;
    const unsigned long long now = loads();
    if (asked.exchange(now) == now) return false;
    void *loaded = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
    if (loaded) {
      export_range = reinterpret_cast<decltype(export_range)>(dlsym(loaded, "cuMemGetHandleForAddressRange"));
      attribute = reinterpret_cast<decltype(attribute)>(dlsym(loaded, "cuPointerGetAttribute"));
    }
    return attribute != nullptr;
  }
  int attribute_of(const void *address, int which) {
    int value = -1;
    return here() && attribute(&value, which, reinterpret_cast<Pointer>(address)) == 0 ? value : -1;
  }
};
Driver drivers[] = {{FI_HMEM_CUDA, "CUDA", "libcuda.so.1", true}, {FI_HMEM_ROCR, "ROCr", "libamdhip64.so.5", false}};

// nullptr: there is none in this process.
Driver *driver_of(fi_hmem_iface interface) {
  for (Driver &driver : drivers)
    if (driver.interface == interface && driver.here()) return &driver;
  return nullptr;
}

// A descriptor of the fake driver's, and which part of the file it stands for (tests/sim/device/virtual.h).
struct Part {
  int fd = -1;
  uint64_t offset = 0, length = 0;
  ino_t file = 0;
};

bool read_part(int fd, Part &out) {
  struct stat status;
  const off_t position = lseek(fd, 0, SEEK_CUR);
  if (position <= 0 || fstat(fd, &status) != 0) return false;
  out = {fd, static_cast<uint64_t>(position >> 32) * page, static_cast<uint64_t>(position & 0xffffffff) * page,
         status.st_ino};
  return true;
}

// Of the pages around the range; it belongs to the caller.
bool export_range(const Driver &driver, const char *base, size_t length, Part &out) {
  const auto first = reinterpret_cast<Pointer>(base) / page * page;
  const auto end = (reinterpret_cast<Pointer>(base) + length + page - 1) / page * page;
  int fd = -1;
  if (!driver.export_range || driver.export_range(&fd, first, end - first, 1, for_a_nic) != 0) return false;
  if (read_part(fd, out)) return true;
  close(fd);
  return false;
}

int map_part(const Part &part, uint64_t offset, NicMapping &out) {
  void *at = mmap(nullptr, part.length, PROT_READ | PROT_WRITE, MAP_SHARED, part.fd, static_cast<off_t>(part.offset));
  if (at == MAP_FAILED) return -FI_ENOMEM;
  out = {static_cast<char *>(at), part.length, static_cast<char *>(at) + offset};
  return 0;
}

// What the driver says of the memory must be what the registration says.
int check_device(const Persona &persona, const fi_mr_attr &attr, const char *base) {
  if (attr.iface == FI_HMEM_SYSTEM) {
    rule_broken(persona, "device memory registered as system memory: the processor would copy what is inlined");
    return -FI_EINVAL;
  }
  Driver *const driver = driver_of(attr.iface);
  if (!driver) return -FI_ENOSYS;
  if (driver->attribute_of(base, memory_type) != type_device) {
    rule_broken(persona, "memory registered as %s's that is none", driver->name);
    return -FI_EINVAL;
  }
  const int ordinal = driver->attribute_of(base, device_ordinal);
  if (ordinal != attr.device.cuda) {
    rule_broken(persona, "memory of device %d registered as that of %d", ordinal, attr.device.cuda);
    return -FI_EINVAL;
  }
  if (!driver->orders_copies || driver->attribute_of(base, has_legacy_handle) != 1) return 0;
  if (driver->attribute_of(base, synchronous_copies) == 1) return 0;
  rule_broken(persona, "plain device memory without CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: copies may overtake the NIC");
  return -FI_EINVAL;
}

int check_dma_buf(const Persona &persona, const DmaBufPart &wanted, const Part &own, const Part &given) {
  if (wanted.offset > given.length || wanted.length > given.length - wanted.offset) {
    rule_broken(persona, "%zu bytes at offset %llu of a dma-buf of %llu", wanted.length,
                static_cast<unsigned long long>(wanted.offset), static_cast<unsigned long long>(given.length));
    return -FI_EINVAL;
  }
  const uint64_t in_page = reinterpret_cast<Pointer>(wanted.address()) % page;
  if (own.file == given.file && own.offset + in_page == given.offset + wanted.offset) return 0;
  rule_broken(persona, "a dma-buf of other memory than that at %p", static_cast<void *>(wanted.address()));
  return -FI_EINVAL;
}

}  // namespace

Ways ways_of(size_t rail) {
  const char *list = getenv("PIRN_SIM_HMEM");
  const std::string way = entry_of("PIRN_SIM_HMEM", rail);
  if (!list || way == "none" || way.empty()) return {};
  return {way == "iface" || way == "both", way == "dmabuf" || way == "both"};
}

uint64_t device_memory_limit() {
  const char *limit = getenv("PIRN_SIM_HMEM_LIMIT");
  return limit ? strtoull(limit, nullptr, 10) : UINT64_MAX;
}

bool is_device_memory(const void *address) {
  return std::any_of(std::begin(drivers), std::end(drivers),
                     [&](Driver &driver) { return driver.attribute_of(address, memory_type) == type_device; });
}

int map_device_memory(const Persona &persona, const fi_mr_attr &attr, char *base, size_t length, const DmaBufPart *part,
                      NicMapping &out) {
  if (int rc = check_device(persona, attr, base)) return rc;
  Part own;
  if (!export_range(*driver_of(attr.iface), base, length, own)) return -FI_EINVAL;  // of several allocations, for one
  int rc = 0;
  if (part) {
    Part given;
    if (!read_part(part->fd, given)) {
      rule_broken(persona, "descriptor %d is no dma-buf", part->fd);
      rc = -FI_EBADF;
    } else {
      rc = check_dma_buf(persona, *part, own, given);
    }
  }
  if (rc == 0) rc = map_part(own, reinterpret_cast<Pointer>(base) % page, out);
  close(own.fd);
  return rc;
}

}  // namespace pirn::sim_nic
