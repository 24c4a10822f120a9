// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>

namespace fixture {

namespace {

void keep_line(void *arg, uint32_t, const char *line) { static_cast<std::vector<std::string> *>(arg)->push_back(line); }

std::vector<std::string> entries_of(const std::string &path) {
  std::vector<std::string> names;
  DIR *directory = opendir(path.c_str());
  assert_non_null(directory);
  while (const dirent *entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(directory);
  return names;
}

}  // namespace

Directory::~Directory() {
  for (const std::string &name : entries()) unlink((path() + "/" + name).c_str());
  rmdir(path_);
}

std::vector<std::string> Directory::entries() const { return entries_of(path_); }

wire::Instance instance_of(uint8_t id) {
  // Abstract names are the machine's: tests that run at the same time must not meet. A forked process keeps the names.
  wire::Instance instance{};
  static const pid_t process = getpid();
  std::memcpy(instance.data(), &process, sizeof process);
  instance[15] = id;
  return instance;
}

wire::Instance this_host() {
  wire::Instance host;
  host.fill(0x5a);
  return host;
}

Settings settings_for(const std::string &directory, uint64_t patience_ms, uint64_t limit) {
  auto loaded = load_settings(nullptr, {});
  assert_true(loaded.is_ok());
  Settings settings = loaded.value().values;
  settings.local_dir = directory;
  settings.handshake_timeout = patience_ms * ns_per_ms;
  settings.handshake_limit = limit;
  return settings;
}

size_t open_descriptors() { return entries_of("/proc/self/fd").size(); }

Fd memory_of(const std::vector<std::byte> &bytes) {
  Fd file(memfd_create("window", MFD_CLOEXEC));
  assert_int_equal(write(file.get(), bytes.data(), bytes.size()), bytes.size());
  return file;
}

wire::ShareAnswer answer_of_file(uint64_t length, uint64_t allocation) {
  wire::ShareAnswer answer;
  answer.window_length = length;
  wire::ShareChunk chunk;
  chunk.length = chunk.allocation_length = length;
  chunk.allocation = allocation;
  chunk.handles.push_back({wire::ShareHandleKind::host_file, 0, {}});
  answer.chunks.push_back(chunk);
  return answer;
}

Side::Side(uint8_t number_in, const Settings &settings)
    : number(number_in),
      log(PIRN_LOG_WARN, keep_line, &lines),
      channel(*this, settings, log, this_host(), instance_of(number_in)) {}

Credentials Side::credentials(uint8_t other, uint8_t secret) const {
  Credentials result;
  result.self = instance_of(number);
  result.other = instance_of(other);
  result.secret.fill(secret);
  return result;
}

void Side::knows(uint8_t other, uint8_t secret) { known[instance_of(other)] = credentials(other, secret); }

ConnectionId Side::connect_to(Side &owner, uint64_t limit_ms) {
  const size_t failed = failures.size();
  const ConnectionId connection =
      channel.connect(known.at(instance_of(owner.number)), now_ns() + limit_ms * ns_per_ms);
  assert_true(drive({this, &owner}, [&] { return ups.count(connection) > 0 || failures.size() > failed; }));
  return connection;
}

std::optional<Credentials> Side::credentials_of(const wire::Instance &peer) {
  const auto found = known.find(peer);
  if (found == known.end()) return std::nullopt;
  return found->second;
}

Offer Side::offer(const Peer &peer, const wire::ShareAsk &ask) {
  asks.push_back(ask);
  if (close_asker) {
    for (const auto &[connection, admitted_peer] : peers)
      if (admitted_peer.instance == peer.instance) channel.close(connection);
  }
  if (offers) return offers(ask);
  Offer none;
  none.answer.status = PIRN_ERR_WINDOW_GONE;
  none.answer.reason = text("window %llu is not open to you", static_cast<unsigned long long>(ask.window));
  return none;
}

void Side::answered(ConnectionId, uint32_t request, Result<Offer> offer) {
  Answer answer;
  answer.request = request;
  answer.status = offer.status();
  if (offer.is_ok()) answer.offer = offer.take();
  answers.push_back(std::move(answer));
}

bool drive(std::initializer_list<Side *> sides, const std::function<bool()> &done, uint64_t limit_ms) {
  const uint64_t limit = now_ns() + limit_ms * ns_per_ms;
  while (!done()) {
    std::vector<pollfd> fds;
    uint64_t wake_at = limit;
    for (Side *side : sides) {
      fds.push_back({side->channel.poll_fd(), POLLIN, 0});
      wake_at = std::min(wake_at, side->channel.next_deadline());
    }
    const uint64_t now = now_ns();
    if (now >= limit) return false;
    const uint64_t wait = wake_at <= now ? 0 : (wake_at - now) / ns_per_ms + 1;
    poll(fds.data(), fds.size(), static_cast<int>(std::min<uint64_t>(wait, 1000)));
    for (Side *side : sides) side->channel.progress(now_ns());
  }
  return true;
}

Stranger::Stranger(const std::string &directory, uint8_t owner, Way way) {
  Result<Fd> met = meet(way, directory, socket_name(this_host(), instance_of(owner)));
  assert_text(met.status().text, "");
  fd_ = met.take();
  fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) & ~O_NONBLOCK);
  const timeval second{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
}

bool Stranger::say(const std::vector<std::byte> &bytes) const {
  return send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

std::vector<std::byte> Stranger::hear() const {
  std::vector<std::byte> bytes(wire::max_share_message);
  const ssize_t size = recv(fd_.get(), bytes.data(), bytes.size(), 0);
  bytes.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return bytes;
}

bool Stranger::was_hung_up() const {
  char byte[256];
  ssize_t size;
  while ((size = recv(fd_.get(), byte, sizeof byte, MSG_DONTWAIT)) > 0) {
  }
  return size == 0 || errno == ECONNRESET || errno == EPIPE;
}

}  // namespace fixture
