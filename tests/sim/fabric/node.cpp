// SPDX-License-Identifier: Apache-2.0
#include "node.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace pirn::sim_nic {
namespace {

double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void require(int rc, const char *step) {
  if (rc) fail_msg("%s: %s (%d)", step, fi_strerror(-rc), rc);
}

}  // namespace

std::mt19937_64 generator() {
  static const uint64_t seed = [] {
    const char *given = getenv("PIRN_TEST_SEED");
    uint64_t value = given ? strtoull(given, nullptr, 0) : std::random_device{}();
    printf("seed: PIRN_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return std::mt19937_64(seed);
}

const char *provider_of(const char *fabric) { return strncmp(fabric, "efa", 3) == 0 ? "efa" : fabric; }

fi_info *find(const char *fabric, int mr_mode, uint64_t mode, uint64_t more_caps) {
  fi_info *hints = fi_allocinfo(), *list = nullptr;
  hints->caps = FI_MSG | FI_RMA | FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE | more_caps;
  hints->mode = mode;
  hints->ep_attr->type = FI_EP_RDM;
  hints->domain_attr->mr_mode = mr_mode;
  hints->domain_attr->threading = FI_THREAD_DOMAIN;
  hints->fabric_attr->prov_name = strdup(provider_of(fabric));
  hints->fabric_attr->name = strdup(fabric);
  int rc = fi_getinfo(FI_VERSION(1, 17), nullptr, nullptr, 0, hints, &list);
  fi_freeinfo(hints);
  return rc ? nullptr : list;
}

Node::Node(const char *name, const Options &options) {
  info = find(name, options.mr_mode, FI_CONTEXT | FI_CONTEXT2, options.device_memory ? FI_HMEM : 0);
  if (!info) fail_msg("fi_getinfo does not offer \"%s\": is FI_PROVIDER_PATH set?", name);
  chosen = info;
  for (size_t i = 0; i < options.rail; i++) chosen = chosen->next;
  require(fi_fabric(chosen->fabric_attr, &fabric, nullptr), "fi_fabric");
  require(fi_domain(fabric, chosen, &domain, nullptr), "fi_domain");
  fi_av_attr av_attr = {};
  av_attr.type = FI_AV_TABLE;
  require(fi_av_open(domain, &av_attr, &av, nullptr), "fi_av_open");
  fi_cq_attr cq_attr = {};
  cq_attr.format = FI_CQ_FORMAT_DATA;
  cq_attr.wait_obj = FI_WAIT_NONE;
  cq_attr.size = options.queue_size;
  require(fi_cq_open(domain, &cq_attr, &cq, nullptr), "fi_cq_open");
  if (options.events) {
    fi_eq_attr eq_attr = {};
    eq_attr.wait_obj = FI_WAIT_NONE;
    require(fi_eq_open(fabric, &eq_attr, &eq, nullptr), "fi_eq_open");
  }
  open_endpoint();
}

void Node::open_endpoint() {
  require(fi_endpoint(domain, chosen, &ep, nullptr), "fi_endpoint");
  require(fi_ep_bind(ep, &av->fid, 0), "fi_ep_bind av");
  require(fi_ep_bind(ep, &cq->fid, FI_TRANSMIT | FI_RECV), "fi_ep_bind cq");
  if (eq) require(fi_ep_bind(ep, &eq->fid, 0), "fi_ep_bind eq");
  enable();
}

Node::~Node() {
  close_endpoint();
  if (eq) fi_close(&eq->fid);
  fi_close(&cq->fid);
  fi_close(&av->fid);
  fi_close(&domain->fid);
  fi_close(&fabric->fid);
  fi_freeinfo(info);
}

void Node::enable() { require(fi_enable(ep), "fi_enable"); }

void Node::close_endpoint() {
  if (ep) fi_close(&ep->fid);
  ep = nullptr;
}

fi_addr_t Node::insert(const std::vector<unsigned char> &address) {
  fi_addr_t out = FI_ADDR_NOTAVAIL;
  assert_int_equal(fi_av_insert(av, address.data(), 1, &out, 0, nullptr), 1);
  return out;
}

std::vector<unsigned char> Node::address() {
  unsigned char bytes[64];
  size_t length = sizeof bytes;
  require(fi_getname(&ep->fid, bytes, &length), "fi_getname");
  return {bytes, bytes + length};
}

bool Node::poll_error(Result &out) {
  fi_cq_err_entry error = {};
  if (fi_cq_readerr(cq, &error, 0) != 1) return false;
  out = {error.op_context, error.flags, error.len, error.err, error.prov_errno};
  return true;
}

bool Node::poll(Result &out) {
  fi_cq_data_entry entry = {};
  ssize_t rc = fi_cq_read(cq, &entry, 1);
  if (rc == -FI_EAVAIL) return poll_error(out);
  if (rc != 1) return false;
  out = {entry.op_context, entry.flags, entry.len, 0, 0};
  return true;
}

Result Node::next(Node *other, int milliseconds) {
  double end = seconds() + milliseconds * 1e-3;
  Result out;
  do {
    if (poll(out)) return out;
    Result theirs;
    if (other && other->poll(theirs)) fail_msg("the other side had a completion of its own");
  } while (seconds() < end);
  return out;
}

Buffer::Buffer(Node &owner, size_t size, uint64_t access, bool ready) : node(owner), bytes(size) {
  static std::mt19937_64 random = generator();
  static uint64_t keys = 1000;
  for (auto &byte : bytes) byte = static_cast<unsigned char>(random());
  require(fi_mr_reg(owner.domain, bytes.data(), bytes.size(), access, 0, keys++, 0, &mr, nullptr), "fi_mr_reg");
  if (ready) make_ready();
}

void Buffer::make_ready() {
  if (!(node.info->domain_attr->mr_mode & FI_MR_ENDPOINT)) return;
  require(fi_mr_bind(mr, &node.ep->fid, 0), "fi_mr_bind");
  require(fi_mr_enable(mr), "fi_mr_enable");
}

Buffer::~Buffer() {
  if (mr) fi_close(&mr->fid);
}

uint64_t Buffer::remote_address(size_t offset) const {
  return (node.info->domain_attr->mr_mode & FI_MR_VIRT_ADDR) ? reinterpret_cast<uint64_t>(bytes.data()) + offset
                                                             : offset;
}

void *Buffer::descriptor() const { return fi_mr_desc(mr); }

ssize_t Pair::write(Buffer &from, size_t at, size_t length, uint64_t address, uint64_t key, void *context,
                    uint64_t flags) {
  iovec part = {from.bytes.data() + at, length};
  void *descriptor = from.descriptor();
  fi_rma_iov remote = {address, length, key};
  fi_msg_rma message = {&part, &descriptor, 1, to_target, &remote, 1, context, 0};
  return fi_writemsg(initiator.ep, &message, flags | FI_COMPLETION);
}

Captured::Captured() : file_(memfd_create("stderr", MFD_CLOEXEC)), before_(dup(STDERR_FILENO)) {
  fflush(stderr);
  dup2(file_, STDERR_FILENO);
}

Captured::~Captured() {
  fflush(stderr);
  dup2(before_, STDERR_FILENO);
  close(before_);
  close(file_);
}

bool Captured::contains(const char *text) const {
  fflush(stderr);
  char buffer[4096];
  ssize_t got = pread(file_, buffer, sizeof buffer - 1, 0);
  buffer[got > 0 ? got : 0] = 0;
  return strstr(buffer, text) != nullptr;
}

}  // namespace pirn::sim_nic
