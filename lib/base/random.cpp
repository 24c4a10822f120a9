// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <cerrno>
#include <system_error>
#include <sys/random.h>

namespace pirn {

void random_bytes(void *buffer, size_t size) {
  auto *next = static_cast<unsigned char *>(buffer);
  while (size > 0) {
    const ssize_t got = getrandom(next, size, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    next += got;
    size -= static_cast<size_t>(got);
  }
}

uint64_t random_u64() {
  uint64_t value = 0;
  while (value == 0) random_bytes(&value, sizeof(value));
  return value;
}

}  // namespace pirn
