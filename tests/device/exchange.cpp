// SPDX-License-Identifier: Apache-2.0
#include "exchange.h"
#include "groups.h"
#include "rig.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rig {
namespace {

union Ancillary {
  cmsghdr header;
  char space[CMSG_SPACE(sizeof(int))];
};

Outcome outcome_of(const Status &status) {
  Outcome outcome{};
  outcome.status = status.code;
  std::snprintf(outcome.text, sizeof outcome.text, "%s", status.text.c_str());
  return outcome;
}

Status look_at(const Order &order, std::byte *mapped) {
  std::byte *const place = mapped + order.offset;
  const std::vector<std::byte> found = read_device(order.device, place, order.bytes);
  if (found != pattern(order.expected, order.bytes)) return fail(PIRN_ERR_INTERNAL, "other bytes than the exporter's");
  if (order.leave != 0) write_device(order.device, place, pattern(order.leave, order.bytes));
  return Status::ok();
}

Status obey(const Order &order, int file) {
  Handle handle;
  handle.kind = order.kind;
  handle.file = file;
  std::memcpy(handle.bytes.data(), order.handle, handle_bytes);
  Result<void *> mapped = table().map(order.device, handle, order.length, order.writable != 0);
  if (!mapped.is_ok()) return mapped.error();
  const Status looked = look_at(order, static_cast<std::byte *>(mapped.value()));
  const Status unmapped = table().unmap(order.device, mapped.value(), order.length, order.kind);
  if (!looked.is_ok()) return looked;
  if (!unmapped.is_ok()) return unmapped;
  return known(mapped.value()) ? fail(PIRN_ERR_INTERNAL, "still mapped after unmap") : Status::ok();
}

}  // namespace

bool send_order(int socket, const Order &order, int file) {
  iovec part = {const_cast<Order *>(&order), sizeof order};
  Ancillary ancillary{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (file >= 0) {
    message.msg_control = ancillary.space;
    message.msg_controllen = sizeof ancillary.space;
    ancillary.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    std::memcpy(CMSG_DATA(&ancillary.header), &file, sizeof file);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof order);
}

bool receive_order(int socket, Order &order, int &file) {
  iovec part = {&order, sizeof order};
  Ancillary ancillary{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary.space;
  message.msg_controllen = sizeof ancillary.space;
  file = -1;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != static_cast<ssize_t>(sizeof order)) return false;
  const cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) std::memcpy(&file, CMSG_DATA(header), sizeof file);
  return true;
}

Importer::Importer() {
  int sockets[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
  const std::string number = std::to_string(sockets[1]);
  process_ = fork();
  assert_true(process_ >= 0);
  if (process_ == 0) {
    const int inherited = dup(sockets[1]);  // without close-on-exec
    execl("/proc/self/exe", "device-conformance", "importer", std::to_string(inherited).c_str(), nullptr);
    _exit(127);
  }
  close(sockets[1]);
  socket_ = sockets[0];
  const timeval most = {static_cast<time_t>(patience / second), 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
}

Importer::~Importer() {
  int status = 0;
  close(socket_);
  waitpid(process_, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_test("the importer ended with wait status %#x", status);
}

Status Importer::map(const Handle &handle, Order order) {
  order.kind = handle.kind;
  std::memcpy(order.handle, handle.bytes.data(), handle_bytes);
  Outcome outcome{};
  assert_true(send_order(socket_, order, handle.file));
  assert_int_equal(recv(socket_, &outcome, sizeof outcome, 0), sizeof outcome);
  return outcome.status == PIRN_OK ? Status::ok() : fail(outcome.status, "%s", outcome.text);
}

}  // namespace rig

int run_importer(int socket) {
  using namespace rig;
  check(table().load(false));
  Order order{};
  int file = -1;
  while (receive_order(socket, order, file)) {
    const Outcome outcome = outcome_of(obey(order, file));
    if (file >= 0) close(file);
    if (send(socket, &outcome, sizeof outcome, MSG_NOSIGNAL) != sizeof outcome) return 1;
  }
  return 0;
}
