// SPDX-License-Identifier: Apache-2.0
// How the verbs provider shows an adapter that has an IP address of its own (RoCE).
#include "verbs.h"

#include <arpa/inet.h>

#include <cstdlib>
#include <cstring>

namespace pirn::sim_nic {
namespace {

constexpr uint64_t order = FI_ORDER_RAR | FI_ORDER_RAW | FI_ORDER_RAS | FI_ORDER_WAW | FI_ORDER_WAS | FI_ORDER_SAW |
                           FI_ORDER_SAS | FI_ORDER_RMA_RAR | FI_ORDER_RMA_RAW | FI_ORDER_RMA_WAW;

bool parse(const Question &question, sockaddr_in &out) {
  out = {};
  out.sin_family = AF_INET;
  if (question.service) out.sin_port = htons(static_cast<uint16_t>(strtoul(question.service, nullptr, 10)));
  return inet_pton(AF_INET, question.node, &out.sin_addr) == 1;
}

bool set_address(void *&address, size_t &length, const sockaddr_in &value) {
  free(address);
  address = malloc(sizeof value);
  if (!address) return false;
  memcpy(address, &value, sizeof value);
  length = sizeof value;
  return true;
}

// A source address is the adapter's own, or the question is for another one.
bool set_source(fi_info &info, const sockaddr_in &wanted) {
  auto *own = static_cast<sockaddr_in *>(info.src_addr);
  bool any = wanted.sin_addr.s_addr == htonl(INADDR_ANY);
  if (!any && wanted.sin_addr.s_addr != own->sin_addr.s_addr) return false;
  own->sin_port = wanted.sin_port;
  return true;
}

}  // namespace

const Persona verbs_persona = [] {
  Persona p = {};
  p.provider = "verbs";
  p.fabric = "IB-0xfe80000000000000";
  p.driver = "mlx5_core";
  p.protocol = FI_PROTO_RDMA_CM_IB_RC;
  p.address_format = FI_SOCKADDR_IN;
  p.address_length = sizeof(sockaddr_in);
  p.mr_required = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
  p.key_size = p.chosen_key_size = 4;
  p.cq_data_size = 4;
  p.max_message = size_t{1} << 30;
  p.local_parts = 4;
  p.remote_parts = 1;
  p.inject_size = 256;
  p.transmit_size = p.receive_size = 384;
  p.order = order;
  p.progress = FI_PROGRESS_AUTO;
  p.wait_fd = true;
  p.remote_cq_data = true;
  p.speed = 400000000000;
  p.unreachable = p.unknown_peer = {FI_EIO, wc_retries_exceeded};
  p.bad_key = {FI_EIO, wc_remote_access};
  p.connected = true;
  return p;
}();

sockaddr_in rail_address(size_t rail, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(0x7f010001 + static_cast<uint32_t>(rail));  // 127.1.0.1 ...
  return address;
}

size_t rail_of(const fi_info &info) {
  size_t rail = 0;
  while (rail < device_count() && (!info.domain_attr->name || device(rail).domain != info.domain_attr->name)) rail++;
  return rail;
}

bool complete_connected(const Question &question, fi_info &info) {
  const fi_info *hints = question.hints;
  info.tx_attr->comp_order = info.rx_attr->comp_order = FI_ORDER_STRICT;
  info.ep_attr->tx_ctx_cnt = 1;
  info.ep_attr->rx_ctx_cnt = hints && hints->ep_attr ? hints->ep_attr->rx_ctx_cnt : 1;
  info.ep_attr->max_order_raw_size = info.ep_attr->max_order_waw_size = info.ep_attr->max_msg_size;
  info.domain_attr->av_type = FI_AV_UNSPEC;
  info.domain_attr->max_ep_srx_ctx = 64;
  info.domain_attr->ep_cnt = info.domain_attr->cq_cnt = 65536;
  if (hints && hints->rx_attr && hints->rx_attr->size) info.rx_attr->size = hints->rx_attr->size;
  if (hints) info.mode |= hints->mode & FI_RX_CQ_DATA;
  if (hints && hints->src_addr && hints->src_addrlen == sizeof(sockaddr_in) &&
      !set_source(info, *static_cast<const sockaddr_in *>(hints->src_addr)))
    return false;
  if (hints && hints->dest_addr && hints->dest_addrlen == sizeof(sockaddr_in) &&
      !set_address(info.dest_addr, info.dest_addrlen, *static_cast<const sockaddr_in *>(hints->dest_addr)))
    return false;
  if (!question.node) return true;
  sockaddr_in given;
  if (!parse(question, given)) return false;
  return (question.flags & FI_SOURCE) ? set_source(info, given) : set_address(info.dest_addr, info.dest_addrlen, given);
}

}  // namespace pirn::sim_nic
