// SPDX-License-Identifier: Apache-2.0
#include "verbs_node.h"

#include <cstdlib>
#include <cstring>
#include <ctime>

namespace pirn::sim_nic {
namespace {

void require(int rc, const char *step) {
  if (rc) fail_msg("%s: %s (%d)", step, fi_strerror(-rc), rc);
}

double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

fi_info *find_connected(int mr_mode, uint64_t operation_flags) {
  fi_info *hints = fi_allocinfo(), *list = nullptr;
  hints->caps = FI_MSG | FI_RMA | (getenv("PIRN_SIM_HMEM") ? FI_HMEM : 0);  // where the NICs take device memory
  hints->ep_attr->type = FI_EP_MSG;
  hints->domain_attr->mr_mode = mr_mode;
  hints->tx_attr->op_flags = operation_flags;
  hints->fabric_attr->prov_name = strdup("verbs");
  int rc = fi_getinfo(FI_VERSION(1, 17), nullptr, nullptr, 0, hints, &list);
  fi_freeinfo(hints);
  return rc ? nullptr : list;
}

Side::Side(bool shared_receives) {
  info = find_connected();
  if (!info) fail_msg("fi_getinfo does not offer \"verbs\": is FI_PROVIDER_PATH set?");
  require(fi_fabric(info->fabric_attr, &fabric, nullptr), "fi_fabric");
  require(fi_domain(fabric, info, &domain, nullptr), "fi_domain");
  fi_cq_attr cq_attr = {};
  cq_attr.format = FI_CQ_FORMAT_DATA;
  cq_attr.wait_obj = FI_WAIT_NONE;
  cq_attr.size = 512;
  require(fi_cq_open(domain, &cq_attr, &cq, nullptr), "fi_cq_open");
  fi_eq_attr eq_attr = {};
  eq_attr.wait_obj = FI_WAIT_FD;
  require(fi_eq_open(fabric, &eq_attr, &eq, nullptr), "fi_eq_open");
  if (shared_receives) require(fi_srx_context(domain, info->rx_attr, &shared, nullptr), "fi_srx_context");
}

Side::~Side() {
  close_endpoint();
  if (shared) fi_close(&shared->fid);
  fi_close(&cq->fid);
  fi_close(&eq->fid);
  fi_close(&domain->fid);
  fi_close(&fabric->fid);
  fi_freeinfo(info);
}

void Side::open_endpoint(fi_info *from) {
  require(fi_endpoint(domain, from, &ep, nullptr), "fi_endpoint");
  require(fi_ep_bind(ep, &eq->fid, 0), "fi_ep_bind eq");
  if (shared) require(fi_ep_bind(ep, &shared->fid, 0), "fi_ep_bind srx");
  require(fi_ep_bind(ep, &cq->fid, FI_TRANSMIT | FI_RECV), "fi_ep_bind cq");
  require(fi_enable(ep), "fi_enable");
}

void Side::close_endpoint() {
  if (ep) fi_close(&ep->fid);
  ep = nullptr;
}

bool Side::poll(Result &out) {
  fi_cq_data_entry entry = {};
  ssize_t rc = fi_cq_read(cq, &entry, 1);
  if (rc == 1) {
    out = {entry.op_context, entry.flags, entry.len, 0, 0};
    data = entry.data;
    return true;
  }
  fi_cq_err_entry error = {};
  if (rc != -FI_EAVAIL || fi_cq_readerr(cq, &error, 0) != 1) return false;
  out = {error.op_context, error.flags, error.len, error.err, error.prov_errno};
  return true;
}

bool Side::poll_event(ConnectionEvent &out) {
  alignas(fi_eq_cm_entry) char whole[sizeof(fi_eq_cm_entry) + 256];
  ssize_t rc = fi_eq_read(eq, &out.event, whole, sizeof whole, 0);
  if (rc > 0) {
    auto *entry = reinterpret_cast<fi_eq_cm_entry *>(whole);
    out.object = entry->fid;
    out.info = entry->info;
    out.data.assign(whole + sizeof *entry, static_cast<size_t>(rc) - sizeof *entry);
    return true;
  }
  fi_eq_err_entry error = {};
  if (rc != -FI_EAVAIL || fi_eq_readerr(eq, &error, 0) <= 0) return false;
  out.event = UINT32_MAX;
  out.object = error.fid;
  out.error = error.err;
  if (error.err_data_size) out.data.assign(static_cast<char *>(error.err_data), error.err_data_size);
  return true;
}

ssize_t Side::receive(void *context, void *into, size_t length, void *descriptor) {
  return fi_recv(shared ? shared : ep, into, length, descriptor, FI_ADDR_UNSPEC, context);
}

Memory::Memory(Side &owner, size_t size, uint64_t access) : bytes(size) {
  static std::mt19937_64 random = generator();
  for (auto &byte : bytes) byte = static_cast<unsigned char>(random());
  require(fi_mr_reg(owner.domain, bytes.data(), size, access, 0, 0, 0, &mr, nullptr), "fi_mr_reg");
}

Memory::~Memory() { fi_close(&mr->fid); }

Link::Link(bool shared_receives) : initiator(shared_receives), target(shared_receives) {
  require(fi_passive_ep(target.fabric, target.info, &listener, nullptr), "fi_passive_ep");
  require(fi_pep_bind(listener, &target.eq->fid, 0), "fi_pep_bind");
  require(fi_listen(listener), "fi_listen");
}

Link::~Link() {
  initiator.close_endpoint();
  target.close_endpoint();
  fi_close(&listener->fid);
}

ConnectionEvent Link::call(const std::string &data) {
  char name[64];
  size_t length = sizeof name;
  require(fi_getname(&listener->fid, name, &length), "fi_getname");
  free(initiator.info->dest_addr);
  initiator.info->dest_addr = malloc(length);
  memcpy(initiator.info->dest_addr, name, length);
  initiator.info->dest_addrlen = length;
  initiator.open_endpoint(initiator.info);
  require(fi_connect(initiator.ep, name, data.data(), data.size()), "fi_connect");
  ConnectionEvent request = next_event(target);
  assert_int_equal(request.event, FI_CONNREQ);
  assert_ptr_equal(request.object, &listener->fid);
  return request;
}

void Link::connect(const std::string &data, const std::string &answer) {
  ConnectionEvent request = call(data);
  assert_string_equal(request.data.c_str(), data.c_str());
  target.open_endpoint(request.info);
  fi_freeinfo(request.info);
  require(fi_accept(target.ep, answer.data(), answer.size()), "fi_accept");
  ConnectionEvent at_initiator = next_event(initiator), at_target = next_event(target);
  assert_int_equal(at_initiator.event, FI_CONNECTED);
  assert_ptr_equal(at_initiator.object, &initiator.ep->fid);
  assert_string_equal(at_initiator.data.c_str(), answer.c_str());
  assert_int_equal(at_target.event, FI_CONNECTED);
  assert_ptr_equal(at_target.object, &target.ep->fid);
}

ssize_t Link::write(Memory &from, size_t at, size_t length, uint64_t address, uint64_t key, void *context) {
  return fi_write(initiator.ep, from.bytes.data() + at, length, from.descriptor(), 0, address, key, context);
}

Result Link::next(Side &of, int milliseconds) {
  double end = seconds() + milliseconds * 1e-3;
  Result out;
  do {
    if (of.poll(out)) return out;
    fi_cq_read((&of == &initiator ? target : initiator).cq, nullptr, 0);
  } while (seconds() < end);
  return out;
}

ConnectionEvent Link::next_event(Side &of, int milliseconds) {
  double end = seconds() + milliseconds * 1e-3;
  do {
    // The inner provider's handshake moves only where somebody reads.
    for (Side *side : {&initiator, &target}) {
      ConnectionEvent event;
      if (side->poll_event(event)) side->events.push_back(event);
      fi_cq_read(side->cq, nullptr, 0);
    }
    if (of.events.empty()) continue;
    ConnectionEvent out = of.events.front();
    of.events.pop_front();
    return out;
  } while (seconds() < end);
  return {};
}

}  // namespace pirn::sim_nic
