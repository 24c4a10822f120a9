// SPDX-License-Identifier: Apache-2.0
#include "local/place.h"

#include "base/text.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <memory>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace pirn::local {

namespace {

constexpr int backlog = 128;
constexpr size_t host_digits = 8;       // bytes of the host's digest in a name
constexpr size_t sweep_limit = 256;     // sockets tried at one time
constexpr time_t unfinished_age_s = 60; // a bound socket that nobody listens on yet may be another's at work
constexpr char finished_prefix[] = "pirn-";
constexpr char unfinished_prefix[] = "pirn~";

std::string hex(const uint8_t *bytes, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text("%02x", unsigned{bytes[i]});
  return result;
}

struct Address {
  sockaddr_un storage{};
  socklen_t length = 0;
  const sockaddr *raw() const { return reinterpret_cast<const sockaddr *>(&storage); }
};

Result<Address> path_address(const std::string &path) {
  Address address;
  if (path.size() >= sizeof(address.storage.sun_path))
    return fail(PIRN_ERR_INVALID, "%s has %zu characters; a local socket's path has at most %zu: choose a shorter "
                "PIRN_LOCAL_DIR", path.c_str(), path.size(), sizeof(address.storage.sun_path) - 1);
  address.storage.sun_family = AF_UNIX;
  std::memcpy(address.storage.sun_path, path.c_str(), path.size() + 1);
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

Address abstract_address(const std::string &name) {
  Address address;
  address.storage.sun_family = AF_UNIX;
  const size_t size = std::min(name.size(), sizeof(address.storage.sun_path) - 1);
  std::memcpy(address.storage.sun_path + 1, name.data(), size);
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + size);
  return address;
}

Status failed(const char *call, const std::string &what) {
  return fail(PIRN_ERR_IO, "%s %s: %s", call, what.c_str(), std::strerror(errno));
}

Fd make_socket() { return Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

pirn_status code_of_connect(int error) {
  if (error == EAGAIN) return PIRN_ERR_AGAIN;
  return error == EMFILE || error == ENFILE || error == ENOMEM ? PIRN_ERR_NO_MEMORY : PIRN_ERR_UNAVAILABLE;
}

bool begins_with(const std::string &text, const std::string &prefix) { return text.rfind(prefix, 0) == 0; }

// Whether nobody listens on it any more. A name is never used twice, so what is dead stays dead.
bool is_dead(const std::string &path) {
  const Result<Address> address = path_address(path);
  const Fd fd = make_socket();
  if (!address.is_ok() || !fd.is_open()) return false;
  return connect(fd.get(), address.value().raw(), address.value().length) != 0 && errno == ECONNREFUSED;
}

bool is_leftover(const std::string &path, bool finished) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode) || found.st_uid != geteuid()) return false;
  if (!finished && time(nullptr) - found.st_ctime < unfinished_age_s) return false;
  return is_dead(path);
}

}  // namespace

std::string socket_name(const wire::Instance &host, const wire::Instance &instance) {
  return finished_prefix + hex(host.data(), host_digits) + "-" + hex(instance.data(), instance.size());
}

const char *way_name(Way way) { return way == Way::path ? "path" : "abstract"; }

Place::Place(Place &&other) noexcept
    : fd_(std::move(other.fd_)), path_(std::exchange(other.path_, {})), creator_(other.creator_) {}

Place &Place::operator=(Place &&other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(creator_, other.creator_);
  return *this;
}

Place::~Place() {
  if (!fd_.is_open() || creator_ != getpid()) return;
  shutdown(fd_.get(), SHUT_RDWR);
  if (!path_.empty()) unlink(path_.c_str());
}

// The socket gets its name only once it listens: a name without a listener is a dead one's (sweep).
Result<Place> Place::at_path(const std::string &directory, const std::string &name) {
  const std::string path = directory + "/" + name;
  const std::string unfinished = directory + "/" + unfinished_prefix + name.substr(sizeof finished_prefix - 1);
  const Result<Address> address = path_address(unfinished);
  if (!address.is_ok()) return address.status();
  Place place;
  place.fd_ = make_socket();
  place.creator_ = getpid();
  if (!place.fd_.is_open()) return failed("socket for", path);
  if (bind(place.fd_.get(), address.value().raw(), address.value().length) != 0) return failed("bind", unfinished);
  place.path_ = unfinished;
  if (chmod(unfinished.c_str(), S_IRUSR | S_IWUSR) != 0) return failed("chmod", unfinished);
  if (listen(place.fd_.get(), backlog) != 0) return failed("listen", unfinished);
  if (rename(unfinished.c_str(), path.c_str()) != 0) return failed("rename", unfinished);
  place.path_ = path;
  return place;
}

Result<Place> Place::abstract(const std::string &name) {
  const Address address = abstract_address(name);
  Place place;
  place.fd_ = make_socket();
  place.creator_ = getpid();
  if (!place.fd_.is_open()) return failed("socket for", "@" + name);
  if (bind(place.fd_.get(), address.raw(), address.length) != 0) return failed("bind", "@" + name);
  if (listen(place.fd_.get(), backlog) != 0) return failed("listen", "@" + name);
  return place;
}

Result<Fd> meet(Way way, const std::string &directory, const std::string &name) {
  const std::string shown = way == Way::path ? directory + "/" + name : "@" + name;
  const Result<Address> address = way == Way::path ? path_address(shown) : abstract_address(name);
  if (!address.is_ok()) return address.status();
  Fd fd = make_socket();
  if (!fd.is_open() || connect(fd.get(), address.value().raw(), address.value().length) != 0)
    return fail(code_of_connect(errno), "connect %s: %s", shown.c_str(), std::strerror(errno));
  return fd;
}

size_t sweep(const std::string &directory, const wire::Instance &host) {
  const std::unique_ptr<DIR, int (*)(DIR *)> open(opendir(directory.c_str()), closedir);
  if (!open) return 0;
  const size_t length = socket_name(host, {}).size();
  const std::string of_host = hex(host.data(), host_digits) + "-";
  size_t tried = 0, removed = 0;
  while (const dirent *entry = readdir(open.get())) {
    const std::string name = entry->d_name;
    const bool finished = begins_with(name, finished_prefix + of_host);
    if (name.size() != length || (!finished && !begins_with(name, unfinished_prefix + of_host))) continue;
    if (++tried > sweep_limit) break;
    const std::string path = directory + "/" + name;
    if (is_leftover(path, finished) && unlink(path.c_str()) == 0) ++removed;
  }
  return removed;
}

Result<Holder> holder_of(int fd) {
  ucred found{};
  socklen_t size = sizeof found;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &found, &size) != 0) return failed("SO_PEERCRED of", "a local socket");
  return Holder{found.pid, found.uid};
}

Status check_user(const Holder &holder) {
  if (holder.uid == geteuid() || holder.uid == 0) return Status::ok();
  return fail(PIRN_ERR_REFUSED, "the process at the other end belongs to user %u; allowed: %u and root", holder.uid,
              geteuid());
}

}  // namespace pirn::local
