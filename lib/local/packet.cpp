// SPDX-License-Identifier: Apache-2.0
#include "local/packet.h"

#include "wire/share.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace pirn::local {

namespace {

constexpr size_t control_size = CMSG_SPACE(wire::max_share_files * sizeof(int));

struct alignas(cmsghdr) Control {
  std::array<std::byte, control_size> bytes{};
};

std::vector<Fd> take_files(msghdr &message) {
  std::vector<Fd> files;
  for (cmsghdr *part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int file;
      std::memcpy(&file, CMSG_DATA(part) + i * sizeof(int), sizeof file);
      files.emplace_back(file);
    }
  }
  return files;
}

}  // namespace

Received receive_packet(int fd, std::span<std::byte> room, bool with_files) {
  Control control;
  iovec part{room.data(), room.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = with_files ? control.bytes.data() : nullptr;
  message.msg_controllen = with_files ? control.bytes.size() : 0;
  const ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  Received received;
  if (size < 0) {
    const bool nothing = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    received.kind = nothing ? Received::Kind::none : Received::Kind::failed;
    received.error = errno;
    return received;
  }
  if (with_files) received.files = take_files(message);
  received.lost_files = (message.msg_flags & MSG_CTRUNC) != 0;
  received.bytes = room.first(static_cast<size_t>(size));
  received.kind = size == 0 ? Received::Kind::ended : Received::Kind::message;
  if ((message.msg_flags & MSG_TRUNC) != 0) {
    received.kind = Received::Kind::failed;
    received.error = EMSGSIZE;
  }
  return received;
}

int send_packet(int fd, std::span<const std::byte> bytes, std::span<const Fd> files) {
  Control control;
  iovec part{const_cast<std::byte *>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (files.size() > wire::max_share_files) return EMSGSIZE;
  if (!files.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
    for (size_t i = 0; i < files.size(); ++i) {
      const int file = files[i].get();
      std::memcpy(CMSG_DATA(header) + i * sizeof(int), &file, sizeof file);
    }
  }
  const ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EWOULDBLOCK || errno == EINTR ? EAGAIN : errno;
  return 0;
}

}  // namespace pirn::local
