// SPDX-License-Identifier: Apache-2.0
#include "core/windows.h"

#include "core/endpoint.h"
#include "core/offers.h"

#include <sodium.h>

#include <algorithm>
#include <array>

namespace pirn::core {

// Proves that the importer's blob is the owner's, unaltered: it covers the secret capability and every other field.
static uint64_t digest(const wire::WindowBlob &blob) {
  std::vector<std::byte> bytes = wire::encode_window(blob);
  std::array<unsigned char, crypto_generichash_BYTES_MIN> hash;
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(),
                     nullptr, 0);
  uint64_t word = 0;
  for (size_t i = 0; i < sizeof(word); ++i) word |= static_cast<uint64_t>(hash[i]) << (8 * i);
  return word;
}

static bool takes_updates(const Peer &peer) { return (peer.metadata.features & wire::feature_window_update) != 0; }

static Window *find(const Peer &peer, uint64_t id) {
  for (Window *window : peer.windows)
    if (window->blob.window == id && window->state != WindowState::gone) return window;
  return nullptr;
}

static void post(Control &control, Peer &peer, std::shared_ptr<Message> message, bool answer) {
  if (answer) control.answer(peer, std::move(message));
  else control.post(peer, std::move(message));
}

void Windows::send(Peer &peer, wire::Kind kind, uint64_t window, uint64_t capability, bool answer) {
  auto message = std::make_shared<Message>();
  message->kind = kind;
  message->body = wire::WindowRef{window, capability};
  post(endpoint_.control(), peer, std::move(message), answer);
}

Result<Window *> Windows::import(Peer &peer, const wire::WindowBlob &blob) {
  if (blob.instance != peer.instance)
    return fail(PIRN_ERR_INVALID, "the window belongs to another endpoint than this peer");
  for (const Path &path : peer.paths)
    if (path.remote >= blob.rails.size() && path.spares == 0)
      return fail(PIRN_ERR_INVALID, "the window has keys for %zu rails, but rail %u is in use", blob.rails.size(),
                  path.remote);
  if (Window *known = find(peer, blob.window); known && known->blob.capability == blob.capability &&
                                               known->blob.length == blob.length && known->blob.access == blob.access) {
    ++known->handles;
    return known;
  }
  auto window = std::make_unique<Window>();
  window->peer = &peer;
  window->blob = blob;
  for (const wire::WindowBlob::RailKey &key : blob.rails) window->keys.push_back({key, 0});
  while (window->keys.size() < peer.metadata.rails.size()) window->keys.push_back({{0, wire::no_key}, 0});  // spares
  window->handles = 1;
  Window *made = window.get();
  imported_.emplace(made, std::move(window));
  peer.windows.push_back(made);
  send(peer, wire::Kind::window_open, blob.window, digest(blob));
  return made;
}

Status Windows::close(Window *window) {
  if (window->users)
    return fail(PIRN_ERR_BUSY, "the window is used by %llu transfer elements or prepared lists",
                static_cast<unsigned long long>(window->users));
  if (--window->handles > 0) return Status::ok();
  Peer &peer = *window->peer;
  endpoint_.sharing().forget(*window);
  endpoint_.staging().forget(*window);
  if (peer.live() && window->state != WindowState::gone) send(peer, wire::Kind::window_close, window->blob.window, 0);
  std::erase(peer.windows, window);
  std::erase(quiescing_, window);
  imported_.erase(window);
  return Status::ok();
}

void Windows::gone(Window &window, pirn_status status, const char *why) {
  if (window.state == WindowState::gone) return;
  window.state = WindowState::gone;
  window.gone_status = status;
  endpoint_.window_gone(window);
  endpoint_.engine().end_using(window, status, why);
  endpoint_.engine().wake(*window.peer);
}

Reach Windows::reach(const Window &window) const {
  Reach reach;
  if (endpoint_.sharing().may_have(window)) {
    reach.route = Route::ipc;
    return reach;
  }
  if (window.peer->metadata.process != endpoint_.process()) {
    reach.why = window.peer->metadata.host != host_identity() ? "the peer is on another host"
                                                              : "the peer, on this host, does not share this memory";
    return reach;
  }
  auto own = find_offer(window.blob);
  if (!own) {
    reach.why = "the peer's window is not known in this process";
    return reach;
  }
  reach.route = Route::self;
  reach.extents.push_back({0, own->length, own->address});
  reach.home = own->home;
  reach.lease = own->lease;
  return reach;
}

void Windows::opened(Peer &peer, const wire::WindowOpened &body) {
  // Imports are answered in the order they were made.
  for (Window *window : peer.windows) {
    if (window->blob.window != body.window || window->state != WindowState::opening) continue;
    if (body.status == PIRN_OK) {
      window->secret = body.share_secret;
      window->plain = body.plain != 0;
      window->reach = reach(*window);
      window->state = WindowState::open;
      endpoint_.engine().wake(peer);
    } else {
      gone(*window, body.status == PIRN_ERR_ACCESS ? PIRN_ERR_ACCESS : PIRN_ERR_WINDOW_GONE,
           "the owner refused the window: it is withdrawn, or the blob was altered");
    }
    return;
  }
}

void Windows::open(Peer &peer, const wire::WindowRef &body) {
  Advertised *window = endpoint_.memory().find(body.window);
  pirn_status status = PIRN_OK;
  if (!window || window->withdrawing) status = PIRN_ERR_WINDOW_GONE;
  else if (digest(window->blob) != body.capability) status = PIRN_ERR_ACCESS;
  else window->importers.insert(&peer);
  for (size_t rail = 0; status == PIRN_OK && rail < window->keys.size(); ++rail) {
    const bool in_blob = rail < window->blob.rails.size();
    const wire::WindowBlob::RailKey known = in_blob ? window->blob.rails[rail] : wire::WindowBlob::RailKey{0, wire::no_key};
    if (window->keys[rail] != known) tell(peer, *window, rail, PIRN_OK, true);
  }
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::window_opened;
  const auto secret = status == PIRN_OK ? endpoint_.sharing().secret_for(peer, *window) : local::Secret{};
  const uint8_t plain = secret != local::Secret{} && !can_be_shared(*window);
  message->body = wire::WindowOpened{body.window, status, secret, plain};
  endpoint_.control().answer(peer, std::move(message));
}

void Windows::updated(Peer &peer, const wire::WindowUpdate &body) {
  constexpr uint64_t ask_again_after = 200 * ns_per_ms, of_device_memory = 5 * ns_per_s;
  for (Window *window : peer.windows) {
    if (window->blob.window != body.window || body.rail >= window->keys.size()) continue;
    if (body.key.address > UINT64_MAX - (window->blob.length - 1)) continue;  // it would wrap around
    static_cast<wire::WindowBlob::RailKey &>(window->keys[body.rail]) = body.key;
    window->keys[body.rail].ask_at = body.status == PIRN_OK ? 0 : coarse_ns() + (window->blob.on_device ? of_device_memory : ask_again_after);
  }
  endpoint_.engine().wake(peer);
}

void Windows::want(Window &window, uint16_t rail) {
  if (!takes_updates(*window.peer) || coarse_ns() < window.keys[rail].ask_at) return;
  window.keys[rail].ask_at = UINT64_MAX;
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::window_want;
  message->body = wire::WindowWant{window.blob.window, rail};
  endpoint_.control().post(*window.peer, std::move(message));
}

void Windows::doubt(const Op &op, const Range &range, const RailSlot &local, uint16_t remote) {
  if (!local.limits().endpoint_keys || !takes_updates(*op.peer)) return;  // both ends are of one provider
  uint64_t left = range.bytes;
  for (Cursor at = range.start; left > 0 && at.element < op.count; at = {at.element + 1, 0}) {
    const Segment segment = op.element(at.element);
    const uint64_t part = std::min(left, segment.length - at.offset);
    if (part > 0 && segment.window->keys[remote].known()) segment.window->keys[remote].forget();
    left -= part;
  }
}

void Windows::tell(Peer &peer, const Advertised &window, size_t rail, pirn_status status, bool answer) {
  if (!takes_updates(peer)) return;
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::window_update;
  message->body = wire::WindowUpdate{window.blob.window, static_cast<uint32_t>(rail), status,
                                     status == PIRN_OK ? window.keys[rail] : wire::WindowBlob::RailKey{0, wire::no_key}};
  post(endpoint_.control(), peer, std::move(message), answer);
}

void Windows::wanted(Peer &peer, const wire::WindowWant &body) {
  Advertised *window = endpoint_.memory().find(body.window);
  if (!window || window->importers.count(&peer) == 0 || body.rail >= endpoint_.rails().size()) return;
  if (!endpoint_.rails()[body.rail]->open()) tell(peer, *window, body.rail, PIRN_ERR_UNAVAILABLE, true);
  else tell(peer, *window, body.rail, endpoint_.memory().reach(*window, body.rail) ? PIRN_OK : PIRN_ERR_NO_MEMORY, true);
}

void Windows::rail_was_reset(const RailSlot &rail) {
  if (!rail.limits().endpoint_keys) return;
  endpoint_.memory().each_advertised([&](Advertised &window) {
    if (!endpoint_.memory().rekeyed(window, rail.index())) return;
    for (Peer *peer : window.importers) tell(*peer, window, rail.index(), PIRN_OK, false);
  });
}

void Windows::withdraw(Advertised &window) {
  window.withdrawing = true;
  for (Peer *peer : window.importers) send(*peer, wire::Kind::window_withdraw, window.blob.window, 0);
}

void Windows::cut_off(Advertised &window) {
  for (Peer *peer : window.importers)
    endpoint_.health().suspect(*peer, "it did not stop using a withdrawn window", false);
  if (!endpoint_.shares_memory_with_peers())
    for (auto &rail : endpoint_.rails()) endpoint_.engine().reset_rail(*rail);
  window.importers.clear();
}

void Windows::control(Peer &peer, wire::Kind kind, const wire::WindowRef &body) {
  switch (kind) {
    case wire::Kind::window_open:
      open(peer, body);
      return;
    case wire::Kind::window_close:
    case wire::Kind::window_quiesced:
      endpoint_.staging().closed(peer, body.window);
      endpoint_.sharing().let_go(peer, body.window);
      if (Advertised *window = endpoint_.memory().find(body.window)) window->importers.erase(&peer);
      return;
    case wire::Kind::window_withdraw:
      if (Window *window = find(peer, body.window)) {
        gone(*window, PIRN_ERR_WINDOW_GONE, "the window was withdrawn by its owner");
        window->quiescing = true;
        quiescing_.push_back(window);
        op_finished();
      } else {
        send(peer, wire::Kind::window_quiesced, body.window, 0, true);
      }
      return;
    default:
      return;
  }
}

void Windows::op_finished() {
  std::erase_if(quiescing_, [this](Window *window) {
    if (endpoint_.engine().in_use(*window)) return false;
    window->quiescing = false;
    endpoint_.sharing().forget(*window);
    if (window->peer->live()) send(*window->peer, wire::Kind::window_quiesced, window->blob.window, 0);
    return true;
  });
}

void Windows::ended(Peer &peer) {
  endpoint_.memory().each_advertised([&](Advertised &window) { window.importers.erase(&peer); });
  endpoint_.sharing().ended(peer);
  endpoint_.staging().ended(peer);
  for (Window *window : peer.windows) {
    window->state = WindowState::gone;
    window->gone_status = peer.end_status;
  }
}

}  // namespace pirn::core
