// SPDX-License-Identifier: Apache-2.0
#include "core/sharing.h"

#include "base/clock.h"
#include "base/random.h"
#include "core/endpoint.h"
#include "core/offers.h"

#include <algorithm>

namespace pirn::core {

using ull = unsigned long long;

// For a connection and for each answer: the other process may be stopped, and transfers wait.
static constexpr uint64_t patience = 2 * ns_per_s;

Sharing::Sharing(Endpoint &endpoint)
    : endpoint_(endpoint),
      channel_(*this, endpoint.settings(), endpoint.log(), host_identity(), endpoint.instance()),
      listening_(channel_.listen()) {
  if (!listening_.is_ok())
    endpoint.log().write(PIRN_LOG_INFO, "no memory is shared with other processes: %s", listening_.text.c_str());
}

Sharing::~Sharing() {
  for (auto &[key, imported] : imported_) imports_.release(&imported);
}

Sharing::Link *Sharing::link_of(const wire::Instance &instance) {
  for (auto &[peer, link] : links_)
    if (peer->instance == instance) return &link;
  return nullptr;
}

Sharing::Link *Sharing::link_of(local::ConnectionId id) {
  for (auto &[peer, link] : links_)
    if (link.connection == id) return &link;
  return nullptr;
}

// -- As owner

bool Sharing::can_map(const Peer &peer) const {
  return peer.metadata.process != endpoint_.process() && peer.metadata.host == host_identity() && listening_.is_ok();
}

bool Sharing::tells_addresses() const { return endpoint_.settings().cross_memory == "auto"; }

local::Secret Sharing::secret_for(Peer &peer, const Advertised &window) {
  if (!can_map(peer)) return {};
  const std::string &rings = endpoint_.settings().rings;
  const bool plain = (peer.metadata.features & wire::feature_plain_host) != 0 &&
                     (tells_addresses() || rings == "auto" || rings == "host");
  if (!plain && !can_be_shared(window)) return {};
  Link &link = links_[&peer];
  link.peer = &peer;
  if (link.own == local::Secret{}) random_bytes(link.own.data(), link.own.size());
  return link.own;
}

// Nobody of ours connects to a listener with a secret of its own choice, so these are always the owner's side.
std::optional<local::Credentials> Sharing::credentials_of(const wire::Instance &instance) {
  Link *link = link_of(instance);
  if (!link || link->own == local::Secret{}) return {};
  return local::Credentials{endpoint_.instance(), instance, link->own};
}

local::Offer Sharing::offer(const local::Peer &peer, const wire::ShareAsk &ask) {
  Link *link = link_of(peer.instance);
  Advertised *window = endpoint_.memory().find(ask.window);
  local::Offer offer;
  if (!link || !window || window->withdrawing || window->blob.capability != ask.capability || window->importers.count(link->peer) == 0) {
    offer.answer.status = PIRN_ERR_WINDOW_GONE;
    offer.answer.reason = "the window is withdrawn, or was not opened to this peer";
    return offer;
  }
  offer = offer_of(*window, ask, tells_addresses());
  for (const wire::ShareChunk &chunk : offer.answer.chunks) {
    offered_[chunk.allocation].insert(ask.window);
    // What a guard takes back is not given.
    if (!chunk.handles.empty() && !window->guard.is_open()) given_.insert({link->peer, ask.window});
  }
  return offer;
}

void Sharing::released(const local::Peer &peer, uint64_t window) {
  if (const Link *link = link_of(peer.instance)) let_go(*link->peer, window);
}

void Sharing::let_go(Peer &peer, uint64_t window) { given_.erase({&peer, window}); }

bool Sharing::given(const Advertised &window) const {
  return left_behind(window) || std::any_of(window.importers.begin(), window.importers.end(), [&](Peer *peer) {
           return given_.count({peer, window.blob.window}) > 0;
         });
}

bool Sharing::left_behind(const Advertised &window) const {
  return std::any_of(left_behind_.begin(), left_behind_.end(),
                     [&](const auto &entry) { return entry.second == window.blob.window; });
}

void Sharing::withdrawn(const Advertised &window) {
  for (auto entry = offered_.begin(); entry != offered_.end();) {
    const bool last = entry->second.erase(window.blob.window) != 0 && entry->second.empty();
    if (last) channel_.gone(entry->first);
    entry = last ? offered_.erase(entry) : std::next(entry);
  }
  const auto of_it = [&](const auto &entry) { return entry.second == window.blob.window; };
  std::erase_if(given_, of_it);
  std::erase_if(left_behind_, of_it);
}

// -- As importer

bool Sharing::may_have(const Window &window) const {
  return window.secret != local::Secret{} && window.peer->metadata.process != endpoint_.process();
}

bool Sharing::linked(const Peer &peer) const {
  auto found = links_.find(const_cast<Peer *>(&peer));
  return found != links_.end() && found->second.up;
}

void Sharing::seek(Window &window, const Home &near) {
  window.shared.push_back({near, {}});
  window.shared.back().reach.route = Route::unknown;
  Link &link = links_[window.peer];
  link.peer = window.peer;
  link.theirs = window.secret;
  Seek seek;
  seek.window = &window;
  seek.near = seek.copier = near;
  link.seeks.push_back(std::move(seek));
  if (link.up) {
    ask_waiting(link);
  } else if (link.connection == 0) {
    link.connection =
        channel_.connect({endpoint_.instance(), window.peer->instance, link.theirs}, now_ns() + patience);
  }
}

void Sharing::ask_waiting(Link &link) {
  for (size_t i = 0; i < link.seeks.size(); ++i) {
    Seek &seek = link.seeks[i];
    if (seek.request != 0) continue;
    const wire::WindowBlob &blob = seek.window->blob;
    local::Importer importer;
    importer.operations = seek.near.table;
    constexpr uint32_t device_kinds = wire::share_bit(wire::ShareHandleKind::device_file) |
                                      wire::share_bit(wire::ShareHandleKind::device_fabric) |
                                      wire::share_bit(wire::ShareHandleKind::device_legacy);
    constexpr uint32_t kernel_kinds = wire::share_bit(wire::ShareHandleKind::host_address) |
                                      wire::share_bit(wire::ShareHandleKind::host_guard);
    uint32_t kinds = blob.on_device ? device_kinds : local::usable_kinds(importer);
    if (reads_by_kernel(link, seek)) kinds |= kernel_kinds;
    auto request =
        channel_.ask(link.connection, {blob.window, blob.capability, seek.imported.end(), kinds}, now_ns() + patience);
    if (request.is_ok()) seek.request = request.value();
    else if (request.error().code == PIRN_ERR_AGAIN) return;  // after the next answer
    else settle(link, i--, request.status());
  }
}

void Sharing::connected(local::ConnectionId id, const local::Peer &peer) {
  Link *link = link_of(id);
  if (!link) return;
  link->up = true;
  link->kernel.reset();
  link->no_kernel = "PIRN_CROSS_MEMORY=none";
  if (tells_addresses()) {
    auto probed = local::CrossMemory::probe(peer);
    if (probed.is_ok()) link->kernel = std::make_shared<const local::CrossMemory>(probed.take());
    else link->no_kernel = probed.error().text;
  }
  ask_waiting(*link);
}

void Sharing::connect_failed(local::ConnectionId id, const Status &why) {
  if (Link *link = link_of(id)) give_up(*link, "no connection within the host: " + why.text);
}

void Sharing::ended(local::ConnectionId id, const std::string &why) {
  if (auto served = served_.find(id); served != served_.end()) {
    // Its process has ended, or has closed the connection after it unmapped what it had.
    std::erase_if(left_behind_, [&](const auto &entry) { return entry.first == served->second; });
    served_.erase(served);
  }
  if (Link *link = link_of(id)) give_up(*link, "the connection within the host ended: " + why);
}

// What is mapped stays: its owner's memory is ours to use until it says otherwise, or is lost.
void Sharing::give_up(Link &link, const std::string &why) {
  link.connection = 0;
  link.up = false;
  while (!link.seeks.empty()) settle(link, link.seeks.size() - 1, fail(PIRN_ERR_UNAVAILABLE, "%s", why.c_str()));
}

void Sharing::answered(local::ConnectionId id, uint32_t request, Result<local::Offer> offer) {
  Link *link = link_of(id);
  if (!link) return;
  auto seek = std::find_if(link->seeks.begin(), link->seeks.end(), [&](const Seek &s) { return s.request == request; });
  if (seek == link->seeks.end()) return;  // its window was closed
  seek->request = 0;
  bool whole = false;
  Status status = offer.is_ok() ? take(*link, *seek, offer.value(), &whole) : offer.status();
  if (!status.is_ok() && !link->kernel && !seek->window->blob.on_device && !seek->near.table)
    status.text += "; not read by the kernel: " + link->no_kernel;
  if (whole || !status.is_ok()) settle(*link, static_cast<size_t>(seek - link->seeks.begin()), status);
  ask_waiting(*link);
}

Status Sharing::take(Link &link, Seek &seek, const local::Offer &offer, bool *whole) {
  const wire::ShareAnswer &answer = offer.answer;
  const wire::WindowBlob &blob = seek.window->blob;
  if (answer.chunks.empty() || answer.window_length != blob.length || answer.chunks.front().offset > seek.imported.end())
    return fail(PIRN_ERR_INVALID, "the owner's answer is not of this window of %llu bytes", static_cast<ull>(blob.length));
  // Who moves the bytes follows from the blob: device memory in the processor's hands would be a fault.
  for (const wire::ShareChunk &chunk : answer.chunks)
    if ((chunk.device != wire::Instance{}) != blob.on_device)
      return fail(PIRN_ERR_INVALID, "the owner's answer says %s memory at offset %llu, its window is %s memory",
                  blob.on_device ? "host" : "device", static_cast<ull>(chunk.offset), blob.on_device ? "device" : "host");
  if (reads_by_kernel(link, seek) && local::address_of(answer.chunks.front()) && local::guard_of(answer.chunks.front())) {
    *whole = true;
    return take_address(link, seek, answer.chunks.front());
  }
  if (Status status = choose_copier(seek, answer.chunks.front()); !status.is_ok()) return status;
  local::Importer importer;
  importer.operations = seek.copier.table;
  importer.device = seek.copier.device;
  importer.writable = (blob.access & PIRN_ACCESS_WRITE) != 0;
  importer.deadline = now_ns() + patience;
  Status status = imports_.take(link.peer->instance, answer.chunks, offer.files, importer, &seek.imported);
  for (const wire::ShareChunk &chunk : answer.chunks)
    if (!status.is_ok() && !chunk.why_none.empty()) {
      status.text += "; its owner: " + chunk.why_none;
      break;
    }
  *whole = status.is_ok() && seek.imported.end() >= blob.length;
  return status;
}

bool Sharing::reads_by_kernel(const Link &link, const Seek &seek) {
  return link.kernel && !seek.window->blob.on_device && !seek.near.table;
}

Status Sharing::take_address(const Link &link, Seek &seek, const wire::ShareChunk &chunk) {
  const uint64_t address = *local::address_of(chunk), length = seek.window->blob.length;
  if (chunk.offset != 0 || chunk.length != length || address > UINT64_MAX - length)
    return fail(PIRN_ERR_INVALID, "the owner's answer tells of %llu bytes at 0x%llx, its window has %llu",
                static_cast<ull>(chunk.length), static_cast<ull>(address), static_cast<ull>(length));
  seek.address = reinterpret_cast<std::byte *>(address);
  seek.in_owner = InOwner{link.kernel, *local::guard_of(chunk)};
  return Status::ok();
}

// Memory of the host at our end: the device that holds the other end moves the bytes, if this process sees it, else the
// endpoint's own, else any.
Status Sharing::choose_copier(Seek &seek, const wire::ShareChunk &chunk) {
  if (seek.near.table || chunk.device == wire::Instance{}) return Status::ok();
  const device::Device *device = endpoint_.context().devices().find(chunk.device);
  if (!device) device = endpoint_.device();
  if (!device && !endpoint_.context().devices().devices().empty()) device = &endpoint_.context().devices().devices().front();
  if (!device) return fail(PIRN_ERR_UNAVAILABLE, "the window is device memory, and this process has no usable device");
  seek.copier = {device->operations, device->info.ordinal};
  return Status::ok();
}

void Sharing::settle(Link &link, size_t index, const Status &status) {
  Seek seek = std::move(link.seeks[index]);
  link.seeks.erase(link.seeks.begin() + static_cast<std::ptrdiff_t>(index));
  const std::string how = seek.in_owner ? "read by the kernel (cross-memory)" : "mapped by " + seek.imported.words();
  for (SharedReach &shared : seek.window->shared) {
    if (shared.near != seek.near) continue;
    Reach &reach = shared.reach;
    reach.route = status.is_ok() ? Route::ipc : Route::fabric;
    reach.why = status.is_ok() ? how : status.text;
    if (status.is_ok()) {
      reach.extents = seek.imported.extents;
      reach.home = seek.window->blob.on_device ? seek.copier : Home{};
      reach.in_owner = seek.in_owner;
      if (seek.in_owner) reach.extents = {{0, seek.window->blob.length, seek.address}};
    }
  }
  endpoint_.log().write(PIRN_LOG_INFO, "window %llu of %s: %s: %s", static_cast<ull>(seek.window->blob.window),
                        link.peer->address.c_str(), status.is_ok() ? "ipc" : "not by ipc",
                        status.is_ok() ? how.c_str() : status.text.c_str());
  if (status.is_ok()) imported_[{seek.window, seek.near}] = std::move(seek.imported);
  else imports_.release(&seek.imported);
  if (!status.is_ok()) tell_released(link, *seek.window);
  endpoint_.engine().wake(*link.peer);
}

void Sharing::not_readable(Window &window, const Home &near, const Status &why) {
  for (SharedReach &shared : window.shared) {
    if (shared.near != near || !shared.reach.in_owner || shared.reach.route != Route::ipc) continue;
    shared.reach.route = Route::fabric;
    shared.reach.why = why.text;
    endpoint_.log().write(PIRN_LOG_INFO, "window %llu of %s: not by ipc any more: %s",
                          static_cast<ull>(window.blob.window), window.peer->address.c_str(), why.text.c_str());
  }
}

// Unless it is mapped for another device, or may be soon.
void Sharing::tell_released(const Link &link, const Window &window) {
  const bool sought = std::any_of(link.seeks.begin(), link.seeks.end(), [&](const Seek &seek) { return seek.window == &window; });
  const bool mapped = std::any_of(imported_.begin(), imported_.end(), [&](const auto &entry) { return entry.first.first == &window; });
  if (link.up && !sought && !mapped) channel_.released(link.connection, window.blob.window);
}

bool Sharing::lock_pages(Window &window, const Home &near) {
  auto shared = std::find_if(window.shared.begin(), window.shared.end(), [&](const SharedReach &s) { return s.near == near; });
  auto imported = imported_.find({&window, near});
  if (!near.table || shared == window.shared.end() || imported == imported_.end()) return false;
  Reach &reach = shared->reach;
  if (reach.pages == Reach::Pages::untried) {
    const Status status = imports_.lock(imported->second, *near.table);
    reach.pages = status.is_ok() ? Reach::Pages::locked : Reach::Pages::not_locked;
    reach.why += status.is_ok() ? ", page-locked" : ", not page-locked, so devices copy it slowly: " + status.text;
  }
  return reach.pages == Reach::Pages::locked;
}

void Sharing::gone(local::ConnectionId id, uint64_t allocation) {
  if (Link *link = link_of(id)) imports_.gone(link->peer->instance, allocation);
}

void Sharing::forget(Window &window) {
  if (auto found = links_.find(window.peer); found != links_.end()) {
    for (Seek &seek : found->second.seeks)
      if (seek.window == &window) imports_.release(&seek.imported);
    std::erase_if(found->second.seeks, [&](const Seek &seek) { return seek.window == &window; });
  }
  for (const SharedReach &shared : window.shared) {
    auto found = imported_.find({&window, shared.near});
    if (found == imported_.end()) continue;
    imports_.release(&found->second);
    imported_.erase(found);
  }
  window.shared.clear();
}

void Sharing::ended(Peer &peer) {
  // Lost is not dead: as long as its connection stands its process may wake up in the midst of a copy.
  const bool stands = std::any_of(served_.begin(), served_.end(), [&](const auto &entry) { return entry.second == peer.instance; });
  std::erase_if(given_, [&](const auto &entry) {
    if (entry.first == &peer && stands) left_behind_.insert({peer.instance, entry.second});
    return entry.first == &peer;
  });
  auto found = links_.find(&peer);
  if (found == links_.end()) return;
  Link &link = found->second;
  while (!link.seeks.empty()) settle(link, link.seeks.size() - 1, fail(peer.end_status, "%s", peer.why.c_str()));
  if (link.connection) channel_.close(link.connection);
  imports_.lost(peer.instance);
  links_.erase(found);
}

std::string Sharing::explain(const Peer &peer) const {
  if (peer.metadata.host != host_identity()) return "the peer is on another host";
  if (!listening_.is_ok()) return "nobody can ask for memory of this endpoint: " + listening_.text;
  std::string out;
  for (const Window *window : peer.windows)
    for (const SharedReach &shared : window->shared)
      out += (out.empty() ? "window " : "; window ") + std::to_string(window->blob.window) + ": " +
             (shared.reach.route == Route::unknown ? "being asked for" : shared.reach.why);
  if (out.empty()) return "no window of the peer that it shares is in use";
  return out;
}

}  // namespace pirn::core
