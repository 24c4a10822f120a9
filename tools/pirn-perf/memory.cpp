// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include "mirror.h"
#include "pattern.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

Storage::Storage(pirn_context *context, const std::string &where, uint64_t bytes)
    : size_(bytes) {
  if (const auto slash = where.find('/'); slash != std::string::npos) {
    plain_ = std::make_unique<GpuMemory>(where.substr(0, slash), bytes);
    address_ = plain_->address();
    return;
  }
  if (where != "host") {
    const bool device = where != "shared";
    allocator_ = context;
    check(pirn_memory_alloc(context, device ? where.c_str() : nullptr, bytes, &address_),
          fmt::format("{} of memory, {}", size_text(bytes), where));
    return;
  }
  void *const mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw Failure(fmt::format("{} of memory: {}", size_text(bytes), std::strerror(errno)));
  address_ = mapped;
}

Storage::~Storage() {
  if (allocator_)
    pirn_memory_free(allocator_, address_);
  else if (!plain_)
    munmap(address_, size_);
}

Lent::Lent(pirn_endpoint *endpoint, void *address, uint64_t bytes) {
  pirn_region *region = nullptr;
  check(pirn_region_register(endpoint, address, bytes, nullptr, &region), "registering " + size_text(bytes));
  region_.reset(region);
  std::vector<unsigned char> blob(4096);
  size_t length = blob.size();
  pirn_status status = PIRN_OK;
  const auto attempt = [&] {
    length = blob.size();
    return pirn_region_advertise(region, 0, bytes, PIRN_ACCESS_READ | PIRN_ACCESS_WRITE, blob.data(), &length, &window_);
  };
  if ((status = attempt()) == PIRN_ERR_TOO_SMALL) {
    blob.resize(length);
    status = attempt();
  }
  check(status, "advertising a window");
  size_t text_length = 0;
  pirn_blob_to_text(blob.data(), length, nullptr, &text_length);
  std::vector<char> text(text_length + 1);
  text_length = text.size();
  check(pirn_blob_to_text(blob.data(), length, text.data(), &text_length), "encoding a window");
  blob_text_ = text.data();
}

Lent::~Lent() {
  constexpr uint64_t patience_ns = 2'000'000'000;
  if (window_ != 0) pirn_region_withdraw(region_.get(), window_, patience_ns);
}

Memory::Memory(pirn_context *context, pirn_endpoint *endpoint, const Options &options, uint64_t bytes, bool checked)
    : size_(bytes), on_device_(options.on_device()), storage_(context, options.memory, bytes),
      lent_(endpoint, storage_.address(), bytes) {
  if (on_device_ && !checked) return;
  if (on_device_) mirror_ = std::make_unique<Mirror>(context, options, storage_.address(), bytes);
  std::memset(data(), background, bytes);
  push({{0, bytes}});
}

Memory::~Memory() = default;

unsigned char *Memory::data() {
  if (on_device_ && !mirror_) throw Failure("this device memory was not opened to be checked");
  return mirror_ ? mirror_->data() : static_cast<unsigned char *>(storage_.address());
}

void Memory::push(const std::vector<Range> &ranges) {
  if (mirror_) mirror_->push(ranges);
}

void Memory::pull(const std::vector<Range> &ranges) {
  if (mirror_) mirror_->pull(ranges);
}
