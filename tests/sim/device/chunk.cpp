// SPDX-License-Identifier: Apache-2.0
#include "chunk.h"

#include "settings.h"

#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pirn::fake_gpu {

namespace {

constexpr uint64_t mark = 0x7069726e66616b65;  // in the page behind the bytes
constexpr uint64_t page = 4096;
constexpr char prefix[] = "pirn-fake-gpu-";

struct Trailer {
  uint64_t mark;
  uint64_t size;
  uint32_t unit;
  uint32_t handle_types;
  std::atomic<uint32_t> freed;
};

std::mutex budget_lock;

// Bytes in use by unit. Never destroyed: what is left at exit comes back after that.
std::map<uint32_t, uint64_t> &budget() {
  static auto *one = new std::map<uint32_t, uint64_t>;
  return *one;
}

bool take_budget(uint32_t unit, uint64_t size) {
  std::lock_guard guard(budget_lock);
  if (size > settings().memory - budget()[unit]) return false;
  budget()[unit] += size;
  return true;
}

void return_budget(uint32_t unit, uint64_t size) {
  std::lock_guard guard(budget_lock);
  budget()[unit] -= size;
}

std::string path_of(const ChunkName &name) {
  std::string path = settings().dir + "/" + prefix;
  for (uint8_t byte : name) {
    char two[3];
    snprintf(two, sizeof two, "%02x", byte);
    path += two;
  }
  return path;
}

Trailer *trailer_of(std::byte *bytes, uint64_t size) { return reinterpret_cast<Trailer *>(bytes + size); }

}  // namespace

bool Chunk::map() {
  void *at = mmap(nullptr, size_ + page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_, 0);
  if (at == MAP_FAILED) return false;
  bytes_ = static_cast<std::byte *>(at);
  return true;
}

std::shared_ptr<Chunk> Chunk::create(uint32_t unit, uint64_t size, uint32_t handle_types) {
  if (!take_budget(unit, size)) return nullptr;
  int file = memfd_create("pirn-fake-gpu", MFD_CLOEXEC);
  std::shared_ptr<Chunk> chunk(new Chunk(file, unit, size));
  if (file < 0 || ftruncate(file, static_cast<off_t>(size + page)) != 0 || !chunk->map()) return nullptr;
  chunk->handle_types_ = handle_types;
  Trailer *trailer = trailer_of(chunk->bytes_, size);
  trailer->size = size;
  trailer->unit = unit;
  trailer->handle_types = handle_types;
  trailer->mark = mark;
  return chunk;
}

std::shared_ptr<Chunk> Chunk::adopt(int file) {
  struct stat status;
  Trailer trailer[1];
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= static_cast<off_t>(page) ||
      pread(file, trailer, sizeof trailer, status.st_size - static_cast<off_t>(page)) !=
        static_cast<ssize_t>(sizeof trailer) ||
      trailer->mark != mark || trailer->size + page != static_cast<uint64_t>(status.st_size)) {
    close(file);
    return nullptr;
  }
  std::shared_ptr<Chunk> chunk(new Chunk(file, trailer->unit, trailer->size));
  chunk->imported_ = true;
  chunk->handle_types_ = trailer->handle_types;
  return chunk->map() ? chunk : nullptr;
}

std::shared_ptr<Chunk> Chunk::from_file(int file) {
  int own = fcntl(file, F_DUPFD_CLOEXEC, 3);
  return own < 0 ? nullptr : adopt(own);
}

std::shared_ptr<Chunk> Chunk::from_name(const ChunkName &name) {
  std::string path = path_of(name);
  int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  if (flock(file, LOCK_SH | LOCK_NB) == 0) {  // its owner would hold it
    unlink(path.c_str());
    close(file);
    return nullptr;
  }
  return adopt(file);
}

Chunk::~Chunk() {
  if (!path_.empty()) unlink(path_.c_str());
  if (bytes_) munmap(bytes_, size_ + page);
  if (file_ >= 0) close(file_);
  if (!imported_) return_budget(unit_, size_);
}

bool Chunk::freed_by_owner() const { return trailer_of(bytes_, size_)->freed != 0; }
void Chunk::tell_freed() {
  if (!imported_) trailer_of(bytes_, size_)->freed = 1;
}

int Chunk::export_file() const { return fcntl(file_, F_DUPFD_CLOEXEC, 3); }

const ChunkName *Chunk::name() {
  if (!path_.empty()) return &name_;
  ChunkName name;
  if (getrandom(name.data(), name.size(), 0) != static_cast<ssize_t>(name.size())) return nullptr;
  std::string path = path_of(name);
  int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return nullptr;
  std::unique_lock guard(moving);
  // The room is taken now: a full shared memory would otherwise show as SIGBUS in the middle of a copy.
  int full = posix_fallocate(file, 0, static_cast<off_t>(size_ + page));
  for (uint64_t done = 0; full == 0 && done < size_ + page;) {
    ssize_t wrote = pwrite(file, bytes_ + done, size_ + page - done, static_cast<off_t>(done));
    if (wrote <= 0) full = errno;
    else done += static_cast<uint64_t>(wrote);
  }
  if (full != 0 || flock(file, LOCK_EX | LOCK_NB) != 0 ||
      mmap(bytes_, size_ + page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
    unlink(path.c_str());
    close(file);
    errno = full ? full : errno;
    return nullptr;
  }
  close(file_);
  file_ = file;
  path_ = path;
  name_ = name;
  return &name_;
}

void sweep_names() {
  DIR *dir = opendir(settings().dir.c_str());
  if (!dir) return;
  while (dirent *entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name.rfind(prefix, 0) != 0) continue;
    std::string path = settings().dir + "/" + name;
    int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status;
    // One that is just being made is not locked yet, and has no bytes or young ones.
    if (file >= 0 && fstat(file, &status) == 0 && time(nullptr) - status.st_mtime > 60 &&
        flock(file, LOCK_SH | LOCK_NB) == 0)
      unlink(path.c_str());
    if (file >= 0) close(file);
  }
  closedir(dir);
}

}  // namespace pirn::fake_gpu
