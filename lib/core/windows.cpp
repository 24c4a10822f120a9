// SPDX-License-Identifier: Apache-2.0
#include "core/windows.h"

#include "core/endpoint.h"

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

static Window *find(const Peer &peer, uint64_t id) {
  for (Window *window : peer.windows)
    if (window->blob.window == id && window->state != WindowState::gone) return window;
  return nullptr;
}

void Windows::send(Peer &peer, wire::Kind kind, uint64_t window, uint64_t capability) {
  auto message = std::make_shared<Message>();
  message->kind = kind;
  message->body = wire::WindowRef{window, capability};
  endpoint_.control().post(peer, std::move(message));
}

Result<Window *> Windows::import(Peer &peer, const wire::WindowBlob &blob) {
  if (blob.instance != peer.instance)
    return fail(PIRN_ERR_INVALID, "the window belongs to another endpoint than this peer");
  for (const Path &path : peer.paths)
    if (path.remote >= blob.rails.size())
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
  endpoint_.engine().end_using(window, status, why);
  endpoint_.engine().wake(*window.peer);
}

void Windows::opened(Peer &peer, const wire::WindowOpened &body) {
  // Imports are answered in the order they were made.
  for (Window *window : peer.windows) {
    if (window->blob.window != body.window || window->state != WindowState::opening) continue;
    if (body.status == PIRN_OK) {
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
  auto message = std::make_shared<Message>();
  message->kind = wire::Kind::window_opened;
  message->body = wire::WindowOpened{body.window, status};
  endpoint_.control().post(peer, std::move(message));
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
      if (Advertised *window = endpoint_.memory().find(body.window)) window->importers.erase(&peer);
      return;
    case wire::Kind::window_withdraw:
      if (Window *window = find(peer, body.window)) {
        gone(*window, PIRN_ERR_WINDOW_GONE, "the window was withdrawn by its owner");
        window->quiescing = true;
        quiescing_.push_back(window);
        op_finished();
      } else {
        send(peer, wire::Kind::window_quiesced, body.window, 0);
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
    if (window->peer->live()) send(*window->peer, wire::Kind::window_quiesced, window->blob.window, 0);
    return true;
  });
}

void Windows::ended(Peer &peer) {
  endpoint_.memory().each_advertised([&](Advertised &window) { window.importers.erase(&peer); });
  for (Window *window : peer.windows) {
    window->state = WindowState::gone;
    window->gone_status = peer.end_status;
  }
}

}  // namespace pirn::core
