// SPDX-License-Identifier: Apache-2.0
// Where an endpoint is met by others of its host: a local socket with a name in a directory, which crosses network
// namespaces where the directory is shared, and a second one in the abstract name space, which needs no directory but
// stays in its network namespace. The name follows from the endpoint's random instance id, so no more need be told.
//
// Everything is non-blocking and close-on-exec. Not thread-safe.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "wire/metadata.h"

#include <string>
#include <sys/types.h>

namespace pirn::local {

// `host`: digest of the boot id, so that a directory shared by several hosts mixes nothing up.
std::string socket_name(const wire::Instance &host, const wire::Instance &instance);

enum class Way : uint8_t { path, abstract };
const char *way_name(Way way);

// A listening socket.
class Place {
 public:
  Place() = default;
  Place(Place &&other) noexcept;
  Place &operator=(Place &&other) noexcept;
  ~Place();  // ends it, also where a forked process still holds the descriptor, and removes its file

  static Result<Place> at_path(const std::string &directory, const std::string &name);
  static Result<Place> abstract(const std::string &name);

  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  std::string path_;  // to remove; empty: none
  pid_t creator_ = 0;
};

// Connects; what waits is only the other's accept. AGAIN: its queue is full. `directory` is for Way::path.
Result<Fd> meet(Way way, const std::string &directory, const std::string &name);

// Removes the files of sockets that this user's dead processes of this host left in `directory`; returns how many.
// What listens, belongs to others or was bound just now stays.
size_t sweep(const std::string &directory, const wire::Instance &host);

// Who holds the other end, as the kernel saw it when it connected or listened.
struct Holder {
  pid_t pid = 0;  // as this PID namespace sees it, 0 if it does not: never an identity
  uid_t uid = 0;
};
Result<Holder> holder_of(int fd);
// Only the same user and root are spoken to.
Status check_user(const Holder &holder);

}  // namespace pirn::local
