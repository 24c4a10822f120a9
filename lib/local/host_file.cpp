// SPDX-License-Identifier: Apache-2.0
#include "local/host_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace pirn::local {

namespace {

// The seal first: it makes the size that is found then the least there will ever be.
Status check_end(int file, uint64_t length) {
  const int seals = fcntl(file, F_GET_SEALS);
  if (seals < 0) return fail(PIRN_ERR_INVALID, "not a memory file that can be sealed: %s", std::strerror(errno));
  if ((seals & F_SEAL_SHRINK) == 0)
    return fail(PIRN_ERR_INVALID, "the file is not sealed against shrinking (seals 0x%x, F_SEAL_SHRINK is 0x%x): "
                "its owner could end this process by cutting it", static_cast<unsigned>(seals),
                static_cast<unsigned>(F_SEAL_SHRINK));
  struct stat found;
  if (fstat(file, &found) != 0) return fail(PIRN_ERR_IO, "fstat: %s", std::strerror(errno));
  if (static_cast<uint64_t>(found.st_size) < length)
    return fail(PIRN_ERR_INVALID, "the file has %llu bytes, the allocation %llu",
                static_cast<unsigned long long>(found.st_size), static_cast<unsigned long long>(length));
  return Status::ok();
}

}  // namespace

Result<void *> map_host_file(int file, uint64_t length, bool writable) {
  const Status status = check_end(file, length);
  if (!status.is_ok()) return status;
  void *const address = mmap(nullptr, length, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, file, 0);
  if (address != MAP_FAILED) return address;
  const int error = errno;
  const bool denied = writable && (error == EACCES || error == EPERM);
  const pirn_status code = denied ? PIRN_ERR_ACCESS : error == ENOMEM ? PIRN_ERR_NO_MEMORY : PIRN_ERR_IO;
  return fail(code, "mmap of %llu bytes%s: %s", static_cast<unsigned long long>(length),
              writable ? " to be written" : "", std::strerror(error));
}

}  // namespace pirn::local
