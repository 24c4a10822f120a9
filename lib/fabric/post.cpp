// SPDX-License-Identifier: Apache-2.0
#include "fabric/rail_state.h"

namespace pirn::fabric {
namespace {

PostResult result_of(ssize_t rc, int *error) {
  if (rc == 0) return PostResult::posted;
  if (rc == -FI_EAGAIN) return PostResult::again;
  *error = rc < 0 ? static_cast<int>(-rc) : FI_EOTHER;
  return PostResult::failed;
}

fi_msg_rma message_of(const Rma &rma, fi_addr_t peer) {
  fi_msg_rma message;
  message.msg_iov = rma.local;
  message.desc = rma.descriptors;
  message.iov_count = rma.local_count;
  message.addr = peer;
  message.rma_iov = reinterpret_cast<const fi_rma_iov *>(rma.remote);
  message.rma_iov_count = rma.remote_count;
  message.context = rma.work;
  message.data = 0;
  return message;
}

}  // namespace

// Never the inject calls: their errors are dropped by some providers. Never fi_write: 1.17's "net" forgets the
// endpoint's default flags there.
PostResult Rail::write(const Rma &rma, int *error) {
  if (!state_->ep) return result_of(-FI_EOPBADSTATE, error);
  fi_msg_rma message = message_of(rma, state_->addresses[rma.peer].provider);
  return result_of(fi_writemsg(state_->ep.get(), &message, state_->write_flags), error);
}

PostResult Rail::read(const Rma &rma, int *error) {
  if (!state_->ep) return result_of(-FI_EOPBADSTATE, error);
  fi_msg_rma message = message_of(rma, state_->addresses[rma.peer].provider);
  return result_of(fi_readmsg(state_->ep.get(), &message, FI_COMPLETION), error);
}

PostResult Rail::send(FabricAddress peer, const void *data, size_t length, void *descriptor, Work *work, int *error) {
  if (!state_->ep) return result_of(-FI_EOPBADSTATE, error);
  const fi_addr_t to = state_->addresses[peer].provider;
  return result_of(fi_send(state_->ep.get(), data, length, descriptor, to, work), error);
}

PostResult Rail::receive(void *buffer, size_t length, void *descriptor, Work *work, int *error) {
  if (!state_->ep) return result_of(-FI_EOPBADSTATE, error);
  return result_of(fi_recv(state_->ep.get(), buffer, length, descriptor, FI_ADDR_UNSPEC, work), error);
}

}  // namespace pirn::fabric
