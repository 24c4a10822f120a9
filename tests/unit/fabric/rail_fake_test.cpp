// SPDX-License-Identifier: Apache-2.0
// Rails over the fake fabric, once per persona: addressing, keys, descriptors,
// event queue, limits, scripted faults.
#include "fake_fabric.h"
#include "rail_pair.h"

#include <cstring>

using namespace pirn;
using namespace pirn::fabric;
using namespace pirn::sim;

namespace {

const Log test_log(PIRN_LOG_ERROR, nullptr, nullptr);

struct Kind {
  const char *profile;
  Persona (*persona)();
};

const Kind kinds[] = {{"tcp", plain_persona}, {"verbs", verbs_persona}, {"efa", efa_persona}, {"cxi", cxi_persona}};

Nic nic_of(const FakeFabric &fake, const char *profile) {
  ProviderFound found = discover_one(fake.calls(), *find_profile(profile), test_log);
  if (found.nics.empty()) fail_msg("%s: %s", profile, found.reason.c_str());
  return found.nics.front();
}

struct Setup {
  FakeFabric fake;
  std::mt19937_64 random{test_seed()};
  RailPair pair;

  explicit Setup(const Kind &kind) : Setup(kind.profile, kind.persona()) {}
  Setup(const char *profile, const Persona &persona, uint64_t max_in_flight = 0)
      : fake({persona}), pair(RailPair::open(nic_of(fake, profile), fake.calls(), test_log, max_in_flight)) {}
};

Completion run(Setup &setup, OneRma &op, bool write) {
  int error = 0;
  Rail &rail = *setup.pair.initiator;
  PostResult result = setup.pair.post([&] { return write ? rail.write(op.rma, &error) : rail.read(op.rma, &error); });
  if (result != PostResult::posted) fail_msg("post failed: %s", Rail::error_text(error).c_str());
  Completion done = setup.pair.next(ns_per_s);
  assert_ptr_equal(done.work, &op.work);
  return done;
}

void write_and_read__every_persona__bytes_are_exact_and_visible_at_completion(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    Block local(*setup.pair.initiator, 65536, 0, setup.random);
    Block remote(*setup.pair.target, 65536, remote_read | remote_write, setup.random);
    std::vector<unsigned char> expected = remote.bytes;
    for (int i = 0; i < 100; i++) {
      size_t length = setup.random() % 4096, from = setup.random() % 60000, to = setup.random() % 60000;
      OneRma write(local, from, remote.part(to, length), setup.pair.to_target);
      int error = 0;
      assert_int_equal(setup.pair.initiator->write(write.rma, &error), PostResult::posted);
      Completion done;
      Status failure;
      // The target does not poll here: the plain and cxi personas place late unless delivery is asked for.
      assert_int_equal(setup.pair.initiator->poll(&done, 1, &failure), 1);
      assert_ptr_equal(done.work, &write.work);
      assert_int_equal(done.error, 0);
      memcpy(expected.data() + to, local.bytes.data() + from, length);
      assert_memory_equal(remote.bytes.data(), expected.data(), expected.size());
      OneRma read(local, to, remote.part(from, length), setup.pair.to_target);
      assert_int_equal(run(setup, read, false).error, 0);
      if (length) assert_memory_equal(local.bytes.data() + to, remote.bytes.data() + from, length);
    }
  }
}

void limits__every_persona__are_what_the_provider_said(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    Persona persona = kind.persona();
    const Limits &limits = setup.pair.initiator->limits();
    assert_true(limits.max_message == persona.max_message);
    assert_int_equal(limits.local_parts, persona.local_parts);
    assert_int_equal(limits.remote_parts, persona.remote_parts);
    assert_int_equal(limits.transmit_depth, persona.transmit_size);
    assert_int_equal(limits.receive_depth, persona.receive_size);
    assert_int_equal(limits.key_size, persona.key_size);
    assert_int_equal(limits.virtual_addressing, (persona.mr_mode & FI_MR_VIRT_ADDR) != 0);
    assert_int_equal(limits.needs_descriptor, (persona.mr_mode & FI_MR_LOCAL) != 0);
    assert_int_equal(setup.pair.initiator->wait_fd() >= 0, persona.wait_fd);
    assert_string_equal(setup.pair.initiator->name().c_str(),
                        (std::string(kind.profile) + "/" + persona.nics[0].name).c_str());
  }
}

void register__local_only__has_a_registration_only_where_descriptors_are_needed(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    bool needed = setup.pair.initiator->limits().needs_descriptor;
    {
      Block block(*setup.pair.initiator, 100, 0, setup.random);
      assert_int_equal(setup.fake.live_registrations(), needed ? 1 : 0);
      assert_int_equal(Rail::descriptor(block.registration) != nullptr, needed);
    }
    assert_int_equal(setup.fake.live_registrations(), 0);
  }
}

void register__keys_are_ours__fit_the_key_size_and_are_not_small(void **) {
  for (const Kind &kind : {kinds[0], kinds[3]}) {
    Setup setup(kind);
    std::vector<std::unique_ptr<Block>> blocks;
    uint64_t largest = 0;
    for (int i = 0; i < 200; i++) {
      blocks.push_back(std::make_unique<Block>(*setup.pair.target, 16, remote_write, setup.random));
      uint64_t key = Rail::key(blocks.back()->registration);
      assert_true(key >= 4096);
      if (setup.pair.target->limits().key_size == 4) assert_true(key <= UINT32_MAX);
      largest = std::max(largest, key);
    }
    // 200 random keys that all lack the upper bit are a chance of 2^-200.
    assert_true(largest >> (setup.pair.target->limits().key_size == 4 ? 31 : 62) != 0);
  }
}

void register__key_size_of_two_bytes__collisions_are_resolved(void **) {
  Persona persona = plain_persona();
  persona.key_size = 2;
  Setup setup("tcp", persona);
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<uint64_t> keys;

  for (int i = 0; i < 2000; i++) {
    blocks.push_back(std::make_unique<Block>(*setup.pair.target, 8, remote_read, setup.random));
    keys.push_back(Rail::key(blocks.back()->registration));
  }

  std::sort(keys.begin(), keys.end());
  assert_true(keys.back() <= UINT16_MAX);
  assert_true(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
}

void access__not_granted_or_out_of_bounds__is_the_providers_error_and_moves_nothing(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    Block local(*setup.pair.initiator, 4096, 0, setup.random);
    Block readable(*setup.pair.target, 4096, remote_read, setup.random);
    Block writable(*setup.pair.target, 4096, remote_write, setup.random);
    std::vector<unsigned char> before_readable = readable.bytes, before_writable = writable.bytes,
                               before_local = local.bytes;
    RemotePart guessed = writable.part(0, 64);
    guessed.key ^= 1;
    RemotePart below = writable.part(0, 64);
    below.address -= 1;
    struct {
      RemotePart part;
      bool write;
    } attempts[] = {{readable.part(0, 64), true}, {writable.part(0, 64), false}, {guessed, true}, {below, true},
                    {writable.part(4033, 64), true}};
    for (auto &attempt : attempts) {
      OneRma op(local, 0, attempt.part, setup.pair.to_target);
      Completion done = run(setup, op, attempt.write);
      assert_int_equal(done.error, kind.persona().refused_errno);
      assert_true(strlen(done.text) > 0);
    }
    assert_memory_equal(readable.bytes.data(), before_readable.data(), 4096);
    assert_memory_equal(writable.bytes.data(), before_writable.data(), 4096);
    assert_memory_equal(local.bytes.data(), before_local.data(), 4096);
  }
}

void send__every_persona__receiver_gets_bytes_length_and_kind(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    Block message(*setup.pair.initiator, 4096, 0, setup.random), buffer(*setup.pair.target, 4096, 0, setup.random);
    size_t length = 1 + setup.random() % 4096;
    Work sent = {}, received = {};
    int error = 0;
    assert_int_equal(setup.pair.target->receive(buffer.bytes.data(), 4096, Rail::descriptor(buffer.registration),
                                                &received, &error),
                     PostResult::posted);
    assert_int_equal(setup.pair.initiator->send(setup.pair.to_target, message.bytes.data(), length,
                                                Rail::descriptor(message.registration), &sent, &error),
                     PostResult::posted);
    Completion done = setup.pair.next(ns_per_s);
    assert_ptr_equal(done.work, &sent);
    assert_false(done.is_receive);
    assert_int_equal(setup.pair.target_completions.size(), 1);
    assert_ptr_equal(setup.pair.target_completions[0].work, &received);
    assert_true(setup.pair.target_completions[0].is_receive);
    assert_int_equal(setup.pair.target_completions[0].length, length);
    assert_memory_equal(buffer.bytes.data(), message.bytes.data(), length);
  }
}

void reset__every_persona__address_and_keys_stay_and_operations_in_flight_vanish(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    Block local(*setup.pair.initiator, 4096, 0, setup.random);
    Block remote(*setup.pair.target, 4096, remote_write, setup.random);
    std::vector<unsigned char> before = remote.bytes;
    uint64_t key = Rail::key(remote.registration);
    setup.fake.hold();
    OneRma op(local, 0, remote.part(0, 4096), setup.pair.to_target);
    int error = 0;
    assert_int_equal(setup.pair.initiator->write(op.rma, &error), PostResult::posted);
    assert_int_equal(setup.fake.in_flight(), 1);

    bool changed = true;
    require(setup.pair.initiator->reset(&changed), "reset of the initiator");
    assert_false(changed);
    require(setup.pair.target->reset(&changed), "reset of the target");
    assert_false(changed);
    setup.fake.release();

    assert_null(setup.pair.next(ns_per_ms).work);
    assert_memory_equal(remote.bytes.data(), before.data(), 4096);
    assert_true(key == Rail::key(remote.registration));
    OneRma again(local, 0, remote.part(0, 4096), setup.pair.to_target);
    assert_int_equal(run(setup, again, true).error, 0);
    assert_memory_equal(remote.bytes.data(), local.bytes.data(), 4096);
    assert_int_equal(setup.fake.counters().endpoints_closed, 2);
  }
}

void reset__queue_that_goes_with_its_endpoint_or_domain__is_another_one_and_works(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    const int descriptor = setup.pair.target->wait_fd();
    const size_t objects = setup.fake.live_objects();
    if (descriptor < 0) continue;

    bool changed = true;
    require(setup.pair.target->reset(&changed), "reset");

    // The new one was opened before the old one was closed, so equal numbers mean the same queue.
    const bool renewed = setup.pair.target->wait_fd() != descriptor;
    const Profile &profile = *find_profile(kind.profile);
    assert_int_equal(renewed, profile.queue_goes_with_endpoint || profile.domain_goes_with_endpoint);
    assert_int_equal(renewed, strcmp(kind.profile, "verbs") == 0 || strcmp(kind.profile, "tcp") == 0);
    assert_true(setup.pair.target->wait_fd() >= 0);
    assert_int_equal(setup.fake.live_objects(), objects);
  }
}

void reset__address_is_not_kept__says_so_and_peers_can_insert_the_new_one(void **) {
  for (const Kind &kind : kinds) {
    Persona persona = kind.persona();
    persona.keeps_address = false;
    Setup setup(kind.profile, persona);
    std::vector<std::byte> before(setup.pair.target->address().begin(), setup.pair.target->address().end());
    Block local(*setup.pair.initiator, 64, 0, setup.random), remote(*setup.pair.target, 64, remote_write, setup.random);

    bool changed = false;
    require(setup.pair.target->reset(&changed), "reset");

    assert_true(changed);
    assert_memory_not_equal(before.data(), setup.pair.target->address().data(), before.size());
    setup.pair.connect();
    OneRma op(local, 0, remote.part(0, 64), setup.pair.to_target);
    assert_int_equal(run(setup, op, true).error, 0);
    assert_memory_equal(remote.bytes.data(), local.bytes.data(), 64);
  }
}

void reset__provider_keys_bound_to_the_endpoint__keys_are_others_and_the_address_is_not(void **) {
  Persona persona = cxi_persona();
  persona.mr_mode |= FI_MR_PROV_KEY;
  persona.key_size = 8;
  Setup setup("cxi", persona);
  Block local(*setup.pair.initiator, 64, 0, setup.random), remote(*setup.pair.target, 64, remote_write, setup.random);
  uint64_t before = Rail::key(remote.registration);

  bool changed = false;
  require(setup.pair.target->reset(&changed), "reset");

  assert_false(changed);
  assert_true(setup.pair.target->limits().endpoint_keys);
  assert_true(before != Rail::key(remote.registration));
  OneRma op(local, 0, remote.part(0, 64), setup.pair.to_target);
  assert_int_equal(run(setup, op, true).error, 0);
  assert_memory_equal(remote.bytes.data(), local.bytes.data(), 64);
}

void post__queue_is_full__is_again_until_a_completion_is_taken(void **) {
  Persona persona = plain_persona();
  persona.transmit_size = 4;
  Setup setup("tcp", persona);
  Block local(*setup.pair.initiator, 64, 0, setup.random), remote(*setup.pair.target, 64, remote_write, setup.random);
  setup.fake.hold();
  OneRma op(local, 0, remote.part(0, 64), setup.pair.to_target);
  int error = 0;
  assert_int_equal(setup.pair.initiator->limits().transmit_depth, 4);

  for (int i = 0; i < 4; i++) assert_int_equal(setup.pair.initiator->write(op.rma, &error), PostResult::posted);
  assert_int_equal(setup.pair.initiator->write(op.rma, &error), PostResult::again);
  setup.fake.release(1);
  assert_ptr_equal(setup.pair.next(ns_per_s).work, &op.work);
  assert_int_equal(setup.pair.initiator->write(op.rma, &error), PostResult::posted);

  assert_int_equal(setup.fake.counters().eagain, 1);
}

void post__scripted_failures__carry_errno_and_provider_words(void **) {
  Setup setup(kinds[1]);
  Block local(*setup.pair.initiator, 64, 0, setup.random), remote(*setup.pair.target, 64, remote_write, setup.random);
  std::vector<unsigned char> before = remote.bytes;
  OneRma op(local, 0, remote.part(0, 64), setup.pair.to_target);
  int error = 0;
  setup.fake.fail_post(1, FI_ENODEV);
  setup.fake.fail_operation(2, FI_EIO, 4711);

  assert_int_equal(setup.pair.initiator->write(op.rma, &error), PostResult::failed);
  assert_int_equal(error, FI_ENODEV);
  Completion done = run(setup, op, true);

  assert_int_equal(done.error, FI_EIO);
  assert_int_equal(done.provider_error, 4711);
  assert_non_null(strstr(done.text, "fake provider error 4711"));
  assert_memory_equal(remote.bytes.data(), before.data(), 64);
  assert_int_equal(run(setup, op, true).error, 0);
}

void poll__more_errors_than_one_call_carries__each_is_reported_once_with_its_own_text(void **) {
  Setup setup(kinds[0]);
  Block local(*setup.pair.initiator, 64, 0, setup.random), remote(*setup.pair.target, 64, remote_write, setup.random);
  std::vector<std::unique_ptr<OneRma>> ops;
  int error = 0;
  for (uint64_t i = 1; i <= 50; i++) setup.fake.fail_operation(i, FI_EIO, static_cast<int>(1000 + i));
  for (int i = 0; i < 50; i++) {
    ops.push_back(std::make_unique<OneRma>(local, 0, remote.part(0, 64), setup.pair.to_target));
    assert_int_equal(setup.pair.initiator->write(ops.back()->rma, &error), PostResult::posted);
  }

  size_t seen = 0;
  for (int polls = 0; polls < 20 && seen < 50; polls++) {
    Completion out[64];
    Status failure;
    size_t n = setup.pair.initiator->poll(out, 64, &failure);
    for (size_t i = 0; i < n; i++, seen++) {
      assert_ptr_equal(out[i].work, &ops[seen]->work);
      char words[32];
      snprintf(words, sizeof words, "error %zu", 1001 + seen);
      assert_non_null(strstr(out[i].text, words));
    }
  }
  assert_int_equal(seen, 50);
}

void poll__queue_fails__is_a_failure_with_the_step_named(void **) {
  Setup setup(kinds[0]);
  setup.fake.fail_queue(FI_EOVERRUN);
  Completion out[4];
  Status failure;

  assert_int_equal(setup.pair.initiator->poll(out, 4, &failure), 0);

  assert_int_equal(failure.code, PIRN_ERR_IO);
  assert_non_null(strstr(failure.text.c_str(), "fi_cq_read"));
}

void poll__device_error_on_the_event_queue__is_a_failure_within_a_few_hundred_polls(void **) {
  Setup setup(kinds[2]);
  setup.fake.fail_event(FI_EIO, 77);
  Status failure;

  for (int i = 0; i < 1000 && failure.is_ok(); i++) {
    Completion out[4];
    setup.pair.initiator->poll(out, 4, &failure);
  }

  assert_int_equal(failure.code, PIRN_ERR_IO);
  assert_non_null(strstr(failure.text.c_str(), "event queue"));
}

void poll__device_error_after_a_sleep__is_a_failure_at_once(void **) {
  Setup setup(kinds[2]);
  setup.fake.fail_event(FI_EIO, 77);
  Status failure;
  Completion out[4];

  setup.pair.initiator->poll(out, 4, &failure);
  assert_true(failure.is_ok());
  setup.pair.initiator->may_sleep();
  setup.pair.initiator->poll(out, 4, &failure);

  assert_int_equal(failure.code, PIRN_ERR_IO);
  assert_non_null(strstr(failure.text.c_str(), "event queue"));
}

void poll__completions_out_of_order__every_work_comes_back_once(void **) {
  Setup setup(kinds[2]);
  Block local(*setup.pair.initiator, 6400, 0, setup.random);
  Block remote(*setup.pair.target, 6400, remote_write, setup.random);
  setup.fake.reorder(test_seed() | 1);
  std::vector<std::unique_ptr<OneRma>> ops;
  std::vector<Work *> expected, seen;
  int error = 0;
  for (size_t i = 0; i < 100; i++) {
    ops.push_back(std::make_unique<OneRma>(local, i * 64, remote.part(i * 64, 64), setup.pair.to_target));
    expected.push_back(&ops.back()->work);
    assert_int_equal(setup.pair.initiator->write(ops.back()->rma, &error), PostResult::posted);
  }

  for (size_t i = 0; i < 100; i++) seen.push_back(setup.pair.next(ns_per_s).work);

  assert_true(seen != expected);
  std::sort(seen.begin(), seen.end());
  std::sort(expected.begin(), expected.end());
  assert_true(seen == expected);
  assert_memory_equal(remote.bytes.data(), local.bytes.data(), 6400);
}

void open__queue_size_is_limited__depths_shrink_to_fit(void **) {
  Persona persona = plain_persona();
  persona.largest_queue = 128;
  Setup setup("tcp", persona);
  const Limits &limits = setup.pair.initiator->limits();

  assert_int_equal(limits.transmit_depth, 64);
  assert_true(limits.receive_depth >= 1 && limits.transmit_depth + limits.receive_depth <= 128);
}

void open__max_in_flight_is_set__caps_the_depth(void **) {
  Setup setup("tcp", plain_persona(), 7);
  assert_int_equal(setup.pair.initiator->limits().transmit_depth, 7);
}

void open_and_close__every_persona__leaves_no_object_behind(void **) {
  for (const Kind &kind : kinds) {
    FakeFabric fake({kind.persona()});
    Nic nic = nic_of(fake, kind.profile);
    {
      RailPair pair = RailPair::open(nic, fake.calls(), test_log);
      static char memory[128];
      auto left_open = pair.target->register_memory(memory, sizeof memory, remote_read);
      require(left_open.status(), "register");
      assert_true(fake.live_objects() >= 11);
    }
    assert_int_equal(fake.live_objects(), 0);
  }
}

void insert__random_bytes__never_crash_and_wrong_lengths_are_invalid(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    size_t own = setup.pair.initiator->address().size();
    for (int i = 0; i < 500; i++) {
      std::vector<std::byte> bytes(setup.random() % 300);
      for (std::byte &byte : bytes) byte = static_cast<std::byte>(setup.random());
      auto result = setup.pair.initiator->insert(bytes);
      if (bytes.size() != own) assert_int_equal(result.status().code, PIRN_ERR_INVALID);
    }
  }
}

// As on devices whose address vector does not count: the first removal would take the address from all.
void insert__same_address_twice__stays_until_its_last_user_removes_it(void **) {
  for (const Kind &kind : kinds) {
    Setup setup(kind);
    Block local(*setup.pair.initiator, 64, 0, setup.random), remote(*setup.pair.target, 64, remote_write, setup.random);
    auto again = setup.pair.initiator->insert(setup.pair.target->address());
    require(again.status(), "insert");
    assert_int_equal(again.value(), setup.pair.to_target);
    setup.pair.initiator->remove(again.value());
    OneRma op(local, 0, remote.part(0, 64), setup.pair.to_target);
    assert_int_equal(run(setup, op, true).error, 0);
    assert_memory_equal(remote.bytes.data(), local.bytes.data(), 64);
    assert_int_equal(setup.fake.counters().strays, 0);
    setup.pair.initiator->remove(setup.pair.to_target);
    OneRma late(local, 0, remote.part(0, 64), setup.pair.to_target);
    assert_int_equal(run(setup, late, true).error, FI_ENOTCONN);
    assert_int_equal(setup.fake.counters().strays, 1);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(write_and_read__every_persona__bytes_are_exact_and_visible_at_completion),
      cmocka_unit_test(limits__every_persona__are_what_the_provider_said),
      cmocka_unit_test(register__local_only__has_a_registration_only_where_descriptors_are_needed),
      cmocka_unit_test(register__keys_are_ours__fit_the_key_size_and_are_not_small),
      cmocka_unit_test(register__key_size_of_two_bytes__collisions_are_resolved),
      cmocka_unit_test(access__not_granted_or_out_of_bounds__is_the_providers_error_and_moves_nothing),
      cmocka_unit_test(send__every_persona__receiver_gets_bytes_length_and_kind),
      cmocka_unit_test(reset__every_persona__address_and_keys_stay_and_operations_in_flight_vanish),
      cmocka_unit_test(reset__queue_that_goes_with_its_endpoint_or_domain__is_another_one_and_works),
      cmocka_unit_test(reset__address_is_not_kept__says_so_and_peers_can_insert_the_new_one),
      cmocka_unit_test(reset__provider_keys_bound_to_the_endpoint__keys_are_others_and_the_address_is_not),
      cmocka_unit_test(post__queue_is_full__is_again_until_a_completion_is_taken),
      cmocka_unit_test(post__scripted_failures__carry_errno_and_provider_words),
      cmocka_unit_test(poll__more_errors_than_one_call_carries__each_is_reported_once_with_its_own_text),
      cmocka_unit_test(poll__queue_fails__is_a_failure_with_the_step_named),
      cmocka_unit_test(poll__device_error_on_the_event_queue__is_a_failure_within_a_few_hundred_polls),
      cmocka_unit_test(poll__device_error_after_a_sleep__is_a_failure_at_once),
      cmocka_unit_test(poll__completions_out_of_order__every_work_comes_back_once),
      cmocka_unit_test(open__queue_size_is_limited__depths_shrink_to_fit),
      cmocka_unit_test(open__max_in_flight_is_set__caps_the_depth),
      cmocka_unit_test(open_and_close__every_persona__leaves_no_object_behind),
      cmocka_unit_test(insert__random_bytes__never_crash_and_wrong_lengths_are_invalid),
      cmocka_unit_test(insert__same_address_twice__stays_until_its_last_user_removes_it),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
