// SPDX-License-Identifier: Apache-2.0
#include "core/memory.h"

#include "base/random.h"

namespace pirn::core {

Memory::~Memory() {
  for (auto &entry : advertised_) deregister_all(entry.second->registrations);
  for (auto &entry : local_) deregister_all(entry.second->registrations);
  for (Region *region : regions_) delete region;
}

Status Memory::register_range(void *address, uint64_t length, uint32_t access,
                              std::vector<fabric::Registration *> *out) {
  for (auto &rail : rails_) {
    auto made = rail->fabric().register_memory(address, length, access);
    if (!made.is_ok()) {
      deregister_all(*out);
      out->clear();
      return made.status();
    }
    out->push_back(made.value());
  }
  return Status::ok();
}

void Memory::deregister_all(const std::vector<fabric::Registration *> &registrations) {
  for (size_t i = 0; i < registrations.size(); ++i) rails_[i]->fabric().deregister(registrations[i]);
}

Result<Region *> Memory::add(Endpoint *endpoint, void *address, uint64_t length) {
  auto found = local_.find({address, length});
  if (found == local_.end()) {
    auto memory = std::make_unique<LocalMemory>();
    memory->address = static_cast<std::byte *>(address);
    memory->length = length;
    Status status = register_range(address, length, 0, &memory->registrations);
    if (!status.is_ok()) return status;
    found = local_.emplace(Range{address, length}, std::move(memory)).first;
  }
  auto region = std::make_unique<Region>();
  region->endpoint = endpoint;
  region->memory = found->second.get();
  ++found->second->regions;
  regions_.insert(region.get());
  return region.release();
}

Status Memory::remove(Region *region) {
  if (region->users)
    return fail(PIRN_ERR_BUSY, "the region is used by %llu transfer elements or prepared lists",
                static_cast<unsigned long long>(region->users));
  if (region->windows)
    return fail(PIRN_ERR_BUSY, "the region has %llu windows that are not withdrawn",
                static_cast<unsigned long long>(region->windows));
  LocalMemory *memory = region->memory;
  regions_.erase(region);
  delete region;
  if (--memory->regions == 0) {
    deregister_all(memory->registrations);
    local_.erase({memory->address, memory->length});
  }
  return Status::ok();
}

Result<Advertised *> Memory::advertise(Region *region, uint64_t offset, uint64_t length, uint32_t access) {
  auto window = std::make_unique<Advertised>();
  std::byte *address = region->address() + offset;
  Status status = register_range(address, length, access, &window->registrations);
  if (!status.is_ok()) return status;
  window->region = region;
  window->blob.instance = instance_;
  window->blob.window = next_window_++;
  window->blob.capability = random_u64();
  window->blob.length = length;
  window->blob.access = access;
  for (size_t i = 0; i < rails_.size(); ++i) {
    fabric::Rail &rail = rails_[i]->fabric();
    auto virtual_address = reinterpret_cast<uint64_t>(address);
    window->blob.rails.push_back(
        {virtual_address - rail.remote_base(window->registrations[i]), fabric::Rail::key(window->registrations[i])});
  }
  ++region->windows;
  Advertised *made = window.get();
  advertised_.emplace(made->blob.window, std::move(window));
  return made;
}

Advertised *Memory::find(uint64_t window) {
  auto found = advertised_.find(window);
  return found == advertised_.end() ? nullptr : found->second.get();
}

void Memory::erase(Advertised *window) {
  deregister_all(window->registrations);
  --window->region->windows;
  advertised_.erase(window->blob.window);
}

}  // namespace pirn::core
