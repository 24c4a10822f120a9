// SPDX-License-Identifier: Apache-2.0
#include "local/host_file.h"

#include "base/text.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

Result<Fd> make_host_file(uint64_t length) {
  if (length == 0 || length > INT64_MAX)
    return fail(PIRN_ERR_RANGE, "a memory file of %llu bytes; allowed are 1 to %lld",
                static_cast<unsigned long long>(length), static_cast<long long>(INT64_MAX));
  Fd file(memfd_create("pirn", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.is_open()) return fail(PIRN_ERR_NO_MEMORY, "memfd_create: %s", std::strerror(errno));
  if (ftruncate(file.get(), static_cast<off_t>(length)) != 0)
    return fail(PIRN_ERR_NO_MEMORY, "ftruncate of a memory file to %llu bytes: %s",
                static_cast<unsigned long long>(length), std::strerror(errno));
  if (fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail(PIRN_ERR_IO, "a memory file cannot be sealed: %s", std::strerror(errno));
  return file;
}

Result<Fd> host_file_for(int file, bool writable) {
  const std::string path = text("/proc/self/fd/%d", file);
  Fd given(writable ? fcntl(file, F_DUPFD_CLOEXEC, 0) : open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (given.is_open()) return given;
  const int error = errno;
  return fail(error == EMFILE || error == ENFILE ? PIRN_ERR_NO_MEMORY : PIRN_ERR_UNAVAILABLE,
              "no %s descriptor of memory file %d: %s", writable ? "second" : "read-only", file, std::strerror(error));
}

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
