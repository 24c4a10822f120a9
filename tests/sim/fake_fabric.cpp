// SPDX-License-Identifier: Apache-2.0
#include "fake_state.h"

#include <cstdlib>
#include <mutex>

namespace pirn::sim {

FakeFabric::State *current;

using Guard = std::lock_guard<SpinLock>;

FakeFabric::FakeFabric(std::vector<Persona> personas, uint32_t version) : state_(std::make_unique<State>()) {
  if (current) abort();  // two at a time: the test is wrong
  state_->personas = std::move(personas);
  state_->version = version;
  state_->calls = fake_calls();
  current = state_.get();
}

FakeFabric::~FakeFabric() { current = nullptr; }

void FakeFabric::State::update_mode() {
  slow = again_left || again_period || !failing_posts.empty() || !failing_operations.empty() || reordering || holding ||
         !hung.empty() || !cut.empty() || !pending.empty() || queue_error;
}

const fabric::Calls &FakeFabric::calls() const { return state_->calls; }

Counters FakeFabric::counters() const {
  Guard guard(state_->lock);
  return state_->counters;
}

size_t FakeFabric::live_objects() const {
  Guard guard(state_->lock);
  return state_->live;
}

std::vector<DeviceRegistration> FakeFabric::device_registrations() const {
  Guard guard(state_->lock);
  return state_->device_registrations;
}

size_t FakeFabric::live_registrations() const {
  Guard guard(state_->lock);
  return state_->regions;
}

uint32_t FakeFabric::requested_version() const { return state_->requested_version; }
int FakeFabric::offered_mr_mode() const { return state_->offered_mr_mode; }
void FakeFabric::ignore_names(bool on) { state_->names_ignored = on; }
void FakeFabric::fail_getinfo(int error) { state_->getinfo_error = error; }

std::vector<uint32_t> FakeFabric::endpoints() const {
  Guard guard(state_->lock);
  std::vector<uint32_t> numbers;
  for (uint32_t i = 1; i < state_->endpoints.size(); i++)
    if (state_->endpoints[i]) numbers.push_back(i);
  return numbers;
}

uint32_t FakeFabric::number_of(std::span<const std::byte> address) const {
  Guard guard(state_->lock);
  for (uint32_t i = 1; i < state_->endpoints.size(); i++) {
    const Endpoint *endpoint = state_->endpoints[i];
    if (endpoint && endpoint->address.size() == address.size() &&
        memcmp(endpoint->address.data(), address.data(), address.size()) == 0)
      return i;
  }
  return 0;
}

void FakeFabric::again(uint64_t posts) {
  Guard guard(state_->lock);
  state_->again_left = posts;
  state_->update_mode();
}

void FakeFabric::again_every(uint64_t period, uint64_t burst) {
  Guard guard(state_->lock);
  state_->again_period = period;
  state_->again_burst = burst;
  state_->update_mode();
}

void FakeFabric::fail_post(uint64_t nth, int error) {
  Guard guard(state_->lock);
  state_->failing_posts[state_->posts + nth] = error;
  state_->update_mode();
}

void FakeFabric::fail_operation(uint64_t nth, int error, int provider_error) {
  Guard guard(state_->lock);
  state_->failing_operations[state_->posts + nth] = {error, provider_error};
  state_->update_mode();
}

void FakeFabric::reorder(uint64_t seed) {
  Guard guard(state_->lock);
  state_->reordering = seed != 0;
  state_->reorder_random.seed(seed);
  state_->update_mode();
}

void FakeFabric::hold() {
  Guard guard(state_->lock);
  state_->holding = true;
  state_->update_mode();
}

// Sleepers are woken: what was released runs when they poll.
void FakeFabric::release(size_t operations) {
  Guard guard(state_->lock);
  if (operations == SIZE_MAX) state_->holding = false;
  for (Operation &operation : state_->pending) {
    if (operation.released) continue;
    if (operations-- == 0) break;
    operation.released = true;
    wake(*operation.from->queue);
  }
  state_->update_mode();
}

size_t FakeFabric::in_flight() const {
  Guard guard(state_->lock);
  return state_->pending.size();
}

void FakeFabric::hang(uint32_t endpoint) {
  Guard guard(state_->lock);
  state_->hung.insert(endpoint);
  state_->update_mode();
}

void FakeFabric::cut(uint32_t endpoint) {
  Guard guard(state_->lock);
  state_->cut.insert(endpoint);
  for (Operation &operation : state_->pending) wake(*operation.from->queue);
  state_->update_mode();
}

void FakeFabric::mend(uint32_t endpoint) {
  Guard guard(state_->lock);
  state_->hung.erase(endpoint);
  state_->cut.erase(endpoint);
  for (Operation &operation : state_->pending) wake(*operation.from->queue);
  state_->update_mode();
}

void FakeFabric::both_ways(bool on) {
  Guard guard(state_->lock);
  state_->both_ways = on;
}

void FakeFabric::dead_is_again(bool on) {
  Guard guard(state_->lock);
  state_->dead_again = on;
}

void FakeFabric::fail_queue(int error) {
  Guard guard(state_->lock);
  state_->queue_error = error;
  state_->update_mode();
}

void FakeFabric::fail_event(int error, int provider_error) {
  Guard guard(state_->lock);
  state_->event_error = error;
  state_->event_provider_error = provider_error;
}

void FakeFabric::refuse_registrations(int error) {
  Guard guard(state_->lock);
  state_->registration_error = error;
}

void FakeFabric::lose_address() {
  Guard guard(state_->lock);
  state_->address_lost = true;
}

}  // namespace pirn::sim
