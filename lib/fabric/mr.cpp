// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"
#include "fabric/rail_state.h"

namespace pirn::fabric {
namespace {

constexpr int key_attempts = 16;

// Random, so that a key cannot be guessed and one that was withdrawn does not soon come back. Small values are left
// out: providers give some of them special meanings. One bit is left out: some treat keys as signed.
uint64_t random_key(size_t key_size) {
  constexpr uint64_t smallest = 4096;
  uint64_t mask = key_size >= sizeof(uint64_t) ? UINT64_MAX >> 1 : (uint64_t{1} << (8 * key_size)) - 1;
  for (;;) {
    uint64_t key = random_u64() & mask;
    if (key >= smallest || mask <= smallest) return key;
  }
}

uint64_t access_of(const Registration &registration) {
  if (!registration.remote_access) return FI_READ | FI_WRITE | FI_SEND | FI_RECV;
  uint64_t access = 0;
  if (registration.remote_access & remote_read) access |= FI_REMOTE_READ;
  if (registration.remote_access & remote_write) access |= FI_REMOTE_WRITE;
  return access;
}

}  // namespace

// The key of `registration` is asked for if it is not zero and keys are ours to choose; if it is taken, another one.
int Rail::State::attach(Registration &registration, fi_mr_attr &attr, uint64_t flags) {
  bool choose = !provider_keys && !registration.key;
  fid_mr *raw = nullptr;
  int rc = 0;
  for (int attempt = 0; attempt < key_attempts; attempt++) {
    if (!provider_keys) attr.requested_key = choose ? random_key(limits.key_size) : registration.key;
    rc = fi_mr_regattr(domain.get(), &attr, flags, &raw);
    if (rc != -FI_ENOKEY || provider_keys) break;
    choose = true;
  }
  if (rc == 0) registration.mr.reset(raw);
  return rc;
}

Status Rail::State::attach(Registration &registration) {
  iovec part = {registration.address, registration.length};
  Grown<fi_mr_attr> attr;
  attr.attr.mr_iov = &part;
  attr.attr.iov_count = 1;
  attr.attr.access = access_of(registration);
  if (registration.device) {
    if (Status status = attach_device(registration, attr.attr); !status.is_ok()) return status;
  } else if (int rc = attach(registration, attr.attr, 0)) {
    return step_failed("fi_mr_regattr", rc);
  }
  int rc = 0;
  fid_mr *raw = registration.mr.get();
  if (endpoint_registrations) {
    rc = fi_mr_bind(raw, &ep->fid, 0);
    if (rc) return step_failed("fi_mr_bind", rc);
    rc = fi_mr_enable(raw);
    if (rc) return step_failed("fi_mr_enable", rc);
  }
  registration.key = fi_mr_key(raw);
  if (registration.key == FI_KEY_NOTAVAIL) return step_failed("fi_mr_key (wider than 8 bytes)", -FI_ENOSYS);
  registration.descriptor = limits.needs_descriptor || registration.device ? fi_mr_desc(raw) : nullptr;
  return Status::ok();
}

void Rail::State::close_registrations() {
  for (Registration *r = registrations; r; r = r->next) {
    r->mr.reset();
    r->descriptor = nullptr;
  }
}

Status Rail::State::reopen_registrations() {
  for (Registration *r = registrations; r; r = r->next) {
    if (!r->remote_access && !limits.needs_descriptor && !r->device) continue;
    if (Status status = attach(*r); !status.is_ok()) return status;
  }
  return Status::ok();
}

Result<Registration *> Rail::register_memory(void *address, size_t length, uint32_t remote_access,
                                             std::shared_ptr<const DeviceMemory> device) {
  State &s = *state_;
  if (device && !s.device_memory.is_ok()) return s.device_memory;
  auto registration = std::make_unique<Registration>();
  registration->address = address;
  registration->length = length;
  registration->remote_access = remote_access;
  registration->device = std::move(device);
  if (remote_access || s.limits.needs_descriptor || registration->device) {
    if (s.endpoint_registrations && !s.ep) return s.step_failed("fi_mr_bind", -FI_EOPBADSTATE);
    if (Status status = s.attach(*registration); !status.is_ok()) return status;
  }
  registration->next = s.registrations;
  if (s.registrations) s.registrations->previous = registration.get();
  s.registrations = registration.get();
  return registration.release();
}

void Rail::deregister(Registration *registration) {
  if (!registration) return;
  Registration *previous = registration->previous, *next = registration->next;
  (previous ? previous->next : state_->registrations) = next;
  if (next) next->previous = previous;
  delete registration;
}

void *Rail::descriptor(const Registration *registration) { return registration->descriptor; }
uint64_t Rail::key(const Registration *registration) { return registration->key; }

uint64_t Rail::remote_base(const Registration *registration) const {
  return state_->limits.virtual_addressing ? 0 : reinterpret_cast<uint64_t>(registration->address);
}

}  // namespace pirn::fabric
