// SPDX-License-Identifier: Apache-2.0
#include "fabric/rail_state.h"

#include <cstdlib>

namespace pirn::fabric {
namespace {

// The provider frees source addresses with free().
bool set_source(fi_info &info, std::span<const std::byte> source) {
  void *copy = malloc(source.size());
  if (!copy) return false;
  memcpy(copy, source.data(), source.size());
  free(info.src_addr);
  info.src_addr = copy;
  info.src_addrlen = source.size();
  return true;
}

// A queue that never runs dry (a provider still flushing) must not hold the caller for ever.
void drain(fid_cq *cq) {
  constexpr int most_entries = 1 << 20;
  for (int i = 0; i < most_entries; i++) {
    fi_cq_msg_entry entry;
    ssize_t rc = fi_cq_read(cq, &entry, 1);
    if (rc > 0) continue;
    if (rc != -FI_EAVAIL) return;
    Grown<fi_cq_err_entry> error;
    if (fi_cq_readerr(cq, &error.attr, 0) < 0) return;
  }
}

}  // namespace

Status Rail::State::open_endpoint(std::span<const std::byte> source, bool by_name) {
  std::shared_ptr<fi_info> request(calls.dupinfo(info.get()), calls.freeinfo);
  if (!request || (!source.empty() && !set_source(*request, source))) return step_failed("fi_dupinfo", -FI_ENOMEM);
  fid_ep *raw = nullptr;
  if (int rc = fi_endpoint(domain.get(), request.get(), &raw, nullptr)) return step_failed("fi_endpoint", rc);
  Fid<fid_ep> opened(raw);
  if (by_name) {
    if (int rc = fi_setname(&raw->fid, request->src_addr, request->src_addrlen)) return step_failed("fi_setname", rc);
  }
  if (int rc = fi_ep_bind(raw, &av->fid, 0)) return step_failed("fi_ep_bind (addresses)", rc);
  if (int rc = fi_ep_bind(raw, &cq->fid, FI_TRANSMIT | FI_RECV)) return step_failed("fi_ep_bind (completions)", rc);
  if (eq) {
    if (int rc = fi_ep_bind(raw, &eq->fid, 0)) return step_failed("fi_ep_bind (events)", rc);
  }
  if (device_memory.is_ok()) {
    if (Status status = refuse_copies(raw); !status.is_ok()) return status;
  }
  if (int rc = fi_enable(raw)) return step_failed("fi_enable", rc);
  ep = std::move(opened);
  Status status = read_address();
  if (!status.is_ok()) ep.reset();
  return status;
}

// While the old one exists, so that there is always one to read.
Status Rail::State::renew_queue() {
  if (!nic.profile->queue_goes_with_endpoint) return Status::ok();
  Fid<fid_cq> old = std::move(cq);
  int old_fd = wait_fd;
  Status status = open_queue(most_in_flight);
  if (status.is_ok()) return status;
  cq = std::move(old);
  wait_fd = old_fd;
  return status;
}

// The old one is closed last, so that there is always one to read. Keys stay where they are ours to choose; where the
// provider chooses them the domain stays, for peers would have to be told.
Status Rail::State::renew_domain() {
  if (!nic.profile->domain_goes_with_endpoint || provider_keys || endpoint_registrations) return renew_queue();
  close_registrations();
  Fid<fid_domain> old_domain = std::move(domain);
  Fid<fid_av> old_av = std::move(av);
  Fid<fid_cq> old_cq = std::move(cq);
  int old_fd = wait_fd;
  if (Status status = open_domain(); !status.is_ok()) {
    cq = std::move(old_cq);
    av = std::move(old_av);
    domain = std::move(old_domain);
    wait_fd = old_fd;
    return status;
  }
  if (Status status = insert_again(); !status.is_ok()) return status;
  return reopen_registrations();
}

Status Rail::State::read_address() {
  std::byte buffer[FI_NAME_MAX * 2];
  size_t length = sizeof buffer;
  int rc = fi_getname(&ep->fid, buffer, &length);
  if (rc || length > sizeof buffer) return step_failed("fi_getname", rc ? rc : -FI_ETOOSMALL);
  address.assign(buffer, buffer + length);
  return Status::ok();
}

Status Rail::reset(bool *address_changed) {
  State &s = *state_;
  *address_changed = false;
  const std::vector<std::byte> before = s.address;
  if (s.endpoint_registrations) s.close_registrations();
  s.ep.reset();
  drain(s.cq.get());
  if (Status renewed = s.renew_domain(); !renewed.is_ok()) return renewed;

  // An address with its port is enough for IP providers; shm and its like derive a new name from it unless told. If the
  // address is taken by now, any will do.
  Status status = s.open_endpoint(before, false);
  if (!status.is_ok() || s.address != before) {
    s.ep.reset();
    status = s.renew_queue();
    if (status.is_ok()) status = s.open_endpoint(before, true);
  }
  if (!status.is_ok()) {
    s.log.write(PIRN_LOG_WARN, "%s: the endpoint cannot keep its address: %s", s.name.c_str(), status.text.c_str());
    status = s.renew_queue();
    if (status.is_ok()) status = s.open_endpoint({}, false);
  }
  if (!status.is_ok()) return status;
  *address_changed = s.address != before;
  return s.endpoint_registrations ? s.reopen_registrations() : Status::ok();
}

}  // namespace pirn::fabric
