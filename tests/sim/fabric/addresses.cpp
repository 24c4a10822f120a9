// SPDX-License-Identifier: Apache-2.0
#include "sim.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdio>
#include <cstring>

namespace pirn::sim_nic {
namespace {

sockaddr_in inner_address(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void tell_boards(AddressVector &av, uint16_t port, bool known) {
  for (Endpoint *endpoint : av.users)
    if (endpoint->board) endpoint->board->set_known(port, known);
}

int close_addresses(fid *object) {
  auto *av = reinterpret_cast<AddressVector *>(object);
  Domain *domain = av->domain;
  Guard guard(*domain);
  if (!av->users.empty()) {
    rule_broken(*domain->persona, "fi_close of an address vector that is bound to an endpoint");
    return -FI_EBUSY;
  }
  fi_close(&av->inner->fid);
  domain->vectors.erase(av);
  domain->children--;
  delete av;
  return 0;
}

bool insert_inner(AddressVector &av, uint16_t port, fi_addr_t &out) {
  sockaddr_in address = inner_address(port);
  return fi_av_insert(av.inner, &address, 1, &out, 0, nullptr) == 1;
}

int insert_one(AddressVector &av, const void *address, fi_addr_t &out) {
  uint16_t port = 0;
  if (!decode_address(*av.domain->persona, address, port)) {
    rule_broken(*av.domain->persona, "fi_av_insert of bytes that are no address of this fabric");
    return -FI_EINVAL;
  }
  for (const auto &[known, peer] : av.peers) {
    if (peer.port != port) continue;
    out = known;
    return 0;
  }
  fi_addr_t inner = FI_ADDR_NOTAVAIL;
  if (!insert_inner(av, port, inner)) return -FI_EINVAL;
  out = av.next++;
  av.peers[out].port = port;
  av.peers[out].inner = inner;
  tell_boards(av, port, true);
  return 0;
}

int insert(fid_av *object, const void *addresses, size_t count, fi_addr_t *out, uint64_t flags, void *) {
  auto *av = reinterpret_cast<AddressVector *>(object);
  Guard guard(*av->domain);
  if (flags & ~uint64_t{FI_MORE}) return -FI_ENOSYS;
  int inserted = 0;
  for (size_t i = 0; i < count; i++) {
    fi_addr_t peer = FI_ADDR_NOTAVAIL;
    auto *address = static_cast<const char *>(addresses) + i * av->domain->persona->address_length;
    if (insert_one(*av, address, peer) == 0)
      inserted++;
    else
      peer = FI_ADDR_NOTAVAIL;
    if (out) out[i] = peer;
  }
  return inserted;
}

int remove(fid_av *object, fi_addr_t *peers, size_t count, uint64_t) {
  auto *av = reinterpret_cast<AddressVector *>(object);
  Guard guard(*av->domain);
  for (size_t i = 0; i < count; i++) {
    auto found = av->peers.find(peers[i]);
    if (found == av->peers.end()) {
      rule_broken(*av->domain->persona, "fi_av_remove of an address that was not inserted");
      return -FI_EINVAL;
    }
    tell_boards(*av, found->second.port, false);
    fi_av_remove(av->inner, &found->second.inner, 1, 0);
    av->peers.erase(found);
  }
  return 0;
}

int lookup(fid_av *object, fi_addr_t peer, void *out, size_t *length) {
  auto *av = reinterpret_cast<AddressVector *>(object);
  Guard guard(*av->domain);
  auto found = av->peers.find(peer);
  if (found == av->peers.end()) return -FI_EINVAL;
  unsigned char address[64];
  const Persona &persona = *av->domain->persona;
  encode_address(persona, 0, found->second.port, address);
  memcpy(out, address, *length < persona.address_length ? *length : persona.address_length);
  *length = persona.address_length;
  return 0;
}

const char *text_of(fid_av *object, const void *address, char *buffer, size_t *size) {
  auto *av = reinterpret_cast<AddressVector *>(object);
  uint16_t port = 0;
  decode_address(*av->domain->persona, address, port);
  int needed = snprintf(buffer, *size, "fi_addr_%s://%u", av->domain->persona->fabric, port);
  *size = static_cast<size_t>(needed) + 1;
  return buffer;
}

}  // namespace

// A board is opened when first needed, and again when its endpoint was closed and another took the port.
BoardView *board_of(Peer &peer) {
  if (peer.board && !peer.board->closed()) return peer.board.get();
  peer.board = BoardView::open(peer.port);
  return peer.board && !peer.board->closed() ? peer.board.get() : nullptr;
}

int open_inner(AddressVector &av) {
  fi_av_attr attr = {};
  attr.type = FI_AV_TABLE;
  if (int rc = fi_av_open(av.domain->inner, &attr, &av.inner, nullptr)) return rc;
  for (auto &[address, peer] : av.peers)
    if (!insert_inner(av, peer.port, peer.inner)) return -FI_EINVAL;
  return 0;
}

int open_addresses(fid_domain *object, fi_av_attr *attr, fid_av **out, void *context) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_addresses;
    return o;
  }();
  static fi_ops_av calls = [] {
    fi_ops_av o = {};
    o.size = sizeof o;
    o.insert = insert;
    o.remove = remove;
    o.lookup = lookup;
    o.straddr = text_of;
    refuse(o.insertsvc);
    refuse(o.insertsym);
    refuse(o.av_set);
    return o;
  }();
  auto *domain = reinterpret_cast<Domain *>(object);
  Guard guard(*domain);
  if (attr && (attr->name || (attr->flags & FI_EVENT))) return -FI_ENOSYS;
  auto av = std::make_unique<AddressVector>();
  av->domain = domain;
  if (int rc = open_inner(*av)) return rc;
  domain->vectors.insert(av.get());
  domain->children++;
  av->fid.fid = {FI_CLASS_AV, context, &operations};
  av->fid.ops = &calls;
  *out = &av.release()->fid;
  return 0;
}

}  // namespace pirn::sim_nic
