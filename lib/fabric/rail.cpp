// SPDX-License-Identifier: Apache-2.0
#include "fabric/rail.h"

#include "base/text.h"
#include "fabric/nic.h"
#include "fabric/rail_state.h"

#include <poll.h>

#include <algorithm>
#include <cstddef>

namespace pirn::fabric {
namespace {

static_assert(sizeof(RemotePart) == sizeof(fi_rma_iov) && offsetof(RemotePart, address) == offsetof(fi_rma_iov, addr) &&
              offsetof(RemotePart, length) == offsetof(fi_rma_iov, len) &&
              offsetof(RemotePart, key) == offsetof(fi_rma_iov, key));
static_assert(sizeof(Work) >= sizeof(fi_context2));

// Receives that a rail takes at most; the completion queue has room for them beside the transmits.
constexpr size_t most_receives = 4096;
constexpr size_t smallest_queue = 64;

pirn_status code_of(ssize_t rc) {
  bool exhausted = rc == -FI_ENOMEM || rc == -FI_EMFILE || rc == -FI_ENOSPC || rc == -ENFILE;
  return exhausted ? PIRN_ERR_NO_MEMORY : PIRN_ERR_UNAVAILABLE;
}

bool has_bit(const fi_info &info, int bit) { return (info.domain_attr->mr_mode & bit) != 0; }

}  // namespace

Rail::State::~State() {
  // The endpoint goes first, so that nothing touches memory whose registration is closed; where registrations hang on
  // the endpoint the provider refuses that order, and orders the two itself.
  if (endpoint_registrations) close_registrations();
  ep.reset();
  while (registrations) {
    Registration *registration = registrations;
    registrations = registration->next;
    delete registration;
  }
}

Status Rail::State::step_failed(const char *step, ssize_t rc) const {
  return fail(code_of(rc), "%s: %s: %s", name.c_str(), step, error_text(static_cast<int>(-rc)).c_str());
}

void Rail::State::read_back_limits() {
  const fi_info &i = *info;
  limits.max_message = i.ep_attr->max_msg_size;
  limits.local_parts = std::clamp<size_t>(i.tx_attr->iov_limit, 1, max_parts);
  limits.remote_parts = std::clamp<size_t>(i.tx_attr->rma_iov_limit, 1, max_parts);
  limits.max_send = i.ep_attr->max_msg_size;
  limits.key_size = i.domain_attr->mr_key_size;
  limits.virtual_addressing = has_bit(i, FI_MR_VIRT_ADDR);
  limits.needs_descriptor = has_bit(i, FI_MR_LOCAL);
  endpoint_registrations = limits.endpoint_keys = has_bit(i, FI_MR_ENDPOINT);
  provider_keys = has_bit(i, FI_MR_PROV_KEY);
  write_flags = FI_COMPLETION | (nic.profile->visibility == Visibility::delivery_complete ? FI_DELIVERY_COMPLETE
                                                                                          : FI_TRANSMIT_COMPLETE);
}

// A descriptor to sleep on where the provider has one (some have none). Too large a queue is refused by
// some devices, so it shrinks until it is granted, and the depth with it.
Status Rail::State::open_queue(uint64_t max_in_flight) {
  size_t depth = std::max<size_t>(info->tx_attr->size, 1);
  if (max_in_flight) depth = std::min<size_t>(depth, max_in_flight);
  size_t receives = std::clamp<size_t>(info->rx_attr->size, 1, most_receives);
  size_t size = depth + receives;
  int rc = 0;
  for (; size >= std::min(smallest_queue, depth + receives); size /= 2) {
    for (fi_wait_obj wait : {FI_WAIT_FD, FI_WAIT_NONE}) {
      Grown<fi_cq_attr> attr;
      attr.attr.size = size;
      attr.attr.format = FI_CQ_FORMAT_MSG;
      attr.attr.wait_obj = wait;
      fid_cq *raw = nullptr;
      rc = fi_cq_open(domain.get(), &attr.attr, &raw, nullptr);
      if (rc) continue;
      cq.reset(raw);
      if (wait != FI_WAIT_FD || fi_control(&raw->fid, FI_GETWAIT, &wait_fd) != 0) wait_fd = -1;
      limits.transmit_depth = std::max<size_t>(std::min(depth, size / 2), 1);
      limits.receive_depth = std::max<size_t>(std::min(receives, size - limits.transmit_depth), 1);
      return Status::ok();
    }
  }
  return step_failed("fi_cq_open", rc);
}

Status Rail::State::open_domain() {
  fid_domain *raw_domain = nullptr;
  int rc = fi_domain(fabric.get(), info.get(), &raw_domain, nullptr);
  if (rc) return step_failed("fi_domain", rc);
  domain.reset(raw_domain);

  Grown<fi_av_attr> av_attr;
  av_attr.attr.type = info->domain_attr->av_type == FI_AV_UNSPEC ? FI_AV_TABLE : info->domain_attr->av_type;
  fid_av *raw_av = nullptr;
  rc = fi_av_open(domain.get(), &av_attr.attr, &raw_av, nullptr);
  if (rc) return step_failed("fi_av_open", rc);
  av.reset(raw_av);
  return open_queue(most_in_flight);
}

Status Rail::State::open_objects() {
  fid_fabric *raw_fabric = nullptr;
  int rc = calls.fabric(info->fabric_attr, &raw_fabric, nullptr);
  if (rc) return step_failed("fi_fabric", rc);
  fabric.reset(raw_fabric);
  if (Status status = open_domain(); !status.is_ok()) return status;
  if (nic.profile->needs_event_queue) {
    Grown<fi_eq_attr> eq_attr;
    eq_attr.attr.wait_obj = FI_WAIT_NONE;
    fid_eq *raw_eq = nullptr;
    rc = fi_eq_open(fabric.get(), &eq_attr.attr, &raw_eq, nullptr);
    if (rc) return step_failed("fi_eq_open", rc);
    eq.reset(raw_eq);
  }
  return open_endpoint({}, false);
}

Status Rail::State::take_info(std::shared_ptr<fi_info> chosen) {
  info = std::move(chosen);
  read_back_limits();
  return open_objects();
}

namespace {

// What to open the rail with so that it takes device memory, or nothing and why.
std::shared_ptr<fi_info> choose_for_devices(const Nic &nic, const Calls &calls, Status *why) {
  std::string reason;
  std::shared_ptr<fi_info> info;
  if (nic.profile->device_memory == DeviceMemoryWay::none)
    reason = text("provider %s reaches host memory only", nic.profile->name);
  else
    info = info_for_devices(nic, calls, &reason);
  if (!info) *why = fail(PIRN_ERR_UNAVAILABLE, "%s", reason.c_str());
  return info;
}

}  // namespace

// A rail that cannot be opened for devices may open without them.
Result<std::unique_ptr<Rail>> Rail::open(const Nic &nic, const Calls &calls, const Log &log, uint64_t max_in_flight,
                                         const char *without_devices) {
  auto make = [&] {
    auto state = std::make_unique<State>(nic, calls, log);
    state->name = std::string(nic.profile->name) + "/" + nic.name;
    state->most_in_flight = max_in_flight;
    if (const uint64_t most = nic.profile->most_in_flight; most != 0)
      state->most_in_flight = max_in_flight != 0 ? std::min(max_in_flight, most) : most;
    return state;
  };
  std::unique_ptr<State> state;
  Status devices;
  if (without_devices) devices = fail(PIRN_ERR_UNAVAILABLE, "%s", without_devices);
  if (std::shared_ptr<fi_info> info = without_devices ? nullptr : choose_for_devices(nic, calls, &devices)) {
    state = make();
    devices = state->take_info(std::move(info));
    if (!devices.is_ok()) state.reset();
  }
  if (!state) {
    state = make();
    state->device_memory = devices;
    std::shared_ptr<fi_info> info(calls.dupinfo(nic.info.get()), calls.freeinfo);
    if (!info) return fail(PIRN_ERR_NO_MEMORY, "%s: fi_dupinfo: out of memory", state->name.c_str());
    if (Status status = state->take_info(std::move(info)); !status.is_ok()) return status;
  }
  const Limits &limits = state->limits;
  log.write(PIRN_LOG_DEBUG, "%s: \"%s\" at %s, message %llu, depth %zu+%zu, parts %zu/%zu, key %zu%s%s%s%s%s", //
            state->name.c_str(), nic.fabric_provider.c_str(), nic.address.c_str(),
            static_cast<unsigned long long>(limits.max_message), limits.transmit_depth, limits.receive_depth,
            limits.local_parts, limits.remote_parts, limits.key_size, limits.virtual_addressing ? ", virtual" : "",
            limits.needs_descriptor ? ", descriptors" : "", state->provider_keys ? ", provider keys" : "",
            state->wait_fd < 0 ? ", no descriptor to wait on" : "", devices.is_ok() ? ", device memory" : "");
  return std::unique_ptr<Rail>(new Rail(std::move(state)));
}

Rail::Rail(std::unique_ptr<State> state) : state_(std::move(state)) {}
Rail::~Rail() = default;

const Limits &Rail::limits() const { return state_->limits; }
const Profile &Rail::profile() const { return *state_->nic.profile; }
const Status &Rail::takes_device_memory() const { return state_->device_memory; }
const std::string &Rail::name() const { return state_->name; }
std::span<const std::byte> Rail::address() const { return state_->address; }
int Rail::wait_fd() const { return state_->wait_fd; }

std::string Rail::printable_address() const {
  return address_text(state_->info->addr_format, state_->address.data(), state_->address.size());
}

bool Rail::may_sleep() {
  state_->slept = true;
  if (state_->wait_fd < 0) return true;
  fid *queue = &state_->cq->fid;
  if (fi_trywait(state_->fabric.get(), &queue, 1) != FI_SUCCESS) return false;
  pollfd readable{state_->wait_fd, POLLIN, 0};
  if (::poll(&readable, 1, 0) == 0) return true;
  // Work came in between, or (tcp RDM of libfabric 1.17) the signal of a completion long taken still stands, which
  // fi_trywait should have cleared: only a wait through libfabric clears it. Nothing is read: the capacity is 0.
  fi_cq_msg_entry none;
  fi_cq_sread(state_->cq.get(), &none, 0, nullptr, 1);
  return false;
}

std::string Rail::error_text(int error) { return text("%s (%d)", fi_strerror(error), error); }

}  // namespace pirn::fabric
