// SPDX-License-Identifier: Apache-2.0
// pirn.hpp over a scripted C interface: which C calls the classes make, in which order.
#include <pirn/pirn.hpp>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <csetjmp>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include <cmocka.h>
}

namespace {

// What the scripted interface saw and what it answers.
struct Script {
  std::vector<std::string> calls;
  pirn_status transfer_status = PIRN_OK;
  pirn_status next_open = PIRN_OK;
  pirn_transfer_params params{};
  uint64_t timeout_ns = 0;
  size_t text_grows_to = 0;
  std::string message;
};
Script script;

void saw(const std::string &call) { script.calls.push_back(call); }

template <typename T>
T *handle(uintptr_t value) {
  return reinterpret_cast<T *>(value);
}

pirn_status put(const std::string &bytes, void *buffer, size_t *length) {
  const size_t room = *length;
  *length = bytes.size();
  if (buffer == nullptr || room < bytes.size()) return PIRN_ERR_TOO_SMALL;
  std::memcpy(buffer, bytes.data(), bytes.size());
  return PIRN_OK;
}

pirn_status post(const char *call, const pirn_transfer_params *params, pirn_transfer *transfer) {
  saw(std::string(call) + (transfer ? " async" : " blocking"));
  script.params = *params;
  if (transfer) *transfer = 55;
  return transfer ? PIRN_OK : script.transfer_status;
}

}  // namespace

const char *pirn_last_error(void) { return "as scripted"; }
const char *pirn_status_string(pirn_status) { return "a status"; }
pirn_status pirn_context_open(const pirn_context_params *params, pirn_context **context) {
  saw("context_open " + std::to_string(params->settings_count));
  *context = script.next_open == PIRN_OK ? handle<pirn_context>(1) : nullptr;
  return script.next_open;
}
pirn_status pirn_context_close(pirn_context *context) {
  if (context) saw("context_close");
  return PIRN_OK;
}
pirn_status pirn_info_setting(pirn_context *, uint64_t index, pirn_setting_info *info) {
  if (info->struct_size != sizeof *info) return PIRN_ERR_INVALID;
  info->name = "PIRN_X";
  return index < 3 ? PIRN_OK : PIRN_ERR_RANGE;
}
pirn_status pirn_info_affinity(pirn_context *, const char *place, uint64_t index, pirn_affinity_info *info) {
  if (info->struct_size != sizeof *info) return PIRN_ERR_INVALID;
  if (index == 0) saw(std::string("affinity ") + (place ? place : "NULL"));
  info->bridges = static_cast<uint32_t>(index) + 7;
  return index < 2 ? PIRN_OK : PIRN_ERR_RANGE;
}
pirn_status pirn_info_explain(pirn_context *, const char *provider, char *buffer, size_t *length) {
  return put(std::string("all about ") + (provider ? provider : "NULL") + '\0', buffer, length);
}
pirn_status pirn_endpoint_explain(pirn_endpoint *, char *buffer, size_t *length) {
  return put(std::string("2 rails") + '\0', buffer, length);
}
pirn_status pirn_endpoint_open(pirn_context *, const pirn_endpoint_params *params, pirn_endpoint **endpoint) {
  saw(std::string("endpoint_open ") + (params->provider ? params->provider : "NULL"));
  *endpoint = handle<pirn_endpoint>(2);
  return PIRN_OK;
}
pirn_status pirn_endpoint_close(pirn_endpoint *) { return saw("endpoint_close"), PIRN_OK; }
pirn_status pirn_endpoint_address(pirn_endpoint *, char *buffer, size_t *length) {
  saw("endpoint_address");
  std::string text = "127.0.0.1:5";
  if (script.text_grows_to && buffer) text.append(script.text_grows_to - text.size(), '0');
  return put(text + '\0', buffer, length);
}
pirn_status pirn_peer_connect(pirn_endpoint *, const char *, uint64_t timeout_ns, pirn_peer **peer) {
  script.timeout_ns = timeout_ns;
  *peer = script.next_open == PIRN_OK ? handle<pirn_peer>(3) : nullptr;
  return script.next_open;
}
pirn_status pirn_peer_close(pirn_peer *) { return saw("peer_close"), PIRN_OK; }
pirn_status pirn_window_import(pirn_peer *, const void *blob, size_t length, pirn_window **window) {
  saw("window_import " + std::string(static_cast<const char *>(blob), length));
  *window = handle<pirn_window>(4);
  return PIRN_OK;
}
pirn_status pirn_window_close(pirn_window *) { return saw("window_close"), PIRN_OK; }
pirn_status pirn_transfer_prepare(uint32_t, const pirn_segment *, uint64_t, pirn_prepared **prepared) {
  *prepared = handle<pirn_prepared>(6);
  return PIRN_OK;
}
pirn_status pirn_trigger_create(pirn_prepared *, const pirn_transfer_params *params, pirn_trigger **trigger) {
  saw(std::string("trigger_create ") + (params->path ? params->path : "NULL"));
  *trigger = handle<pirn_trigger>(7);
  return PIRN_OK;
}
pirn_status pirn_stream_post(pirn_trigger *, void *stream) {
  return saw("stream_post " + std::to_string(reinterpret_cast<uintptr_t>(stream))), PIRN_OK;
}
pirn_status pirn_stream_wait(pirn_trigger *, void *stream) {
  return saw("stream_wait " + std::to_string(reinterpret_cast<uintptr_t>(stream))), PIRN_OK;
}
pirn_status pirn_trigger_get_info(pirn_trigger *, pirn_trigger_info *info) {
  if (info->struct_size != sizeof *info) return PIRN_ERR_INVALID;
  info->posts = 9;
  return PIRN_OK;
}
pirn_status pirn_trigger_cancel(pirn_trigger *) { return saw("trigger_cancel"), PIRN_ERR_CANCELLED; }
pirn_status pirn_trigger_release(pirn_trigger *) { return saw("trigger_release"), PIRN_OK; }
pirn_status pirn_prepared_release(pirn_prepared *) { return saw("prepared_release"), PIRN_OK; }
pirn_status pirn_region_register(pirn_endpoint *, void *, uint64_t, const pirn_region_params *, pirn_region **region) {
  *region = handle<pirn_region>(5);
  return PIRN_OK;
}
pirn_status pirn_region_register_many(pirn_endpoint *, const pirn_memory *, uint64_t count, const pirn_region_params *,
                                      pirn_region **regions) {
  for (uint64_t i = 0; i < count; ++i) regions[i] = handle<pirn_region>(100 + i);
  return PIRN_OK;
}
pirn_status pirn_region_deregister(pirn_region *) { return saw("region_deregister"), PIRN_OK; }
pirn_status pirn_region_advertise(pirn_region *, uint64_t, uint64_t, uint32_t, void *blob, size_t *length,
                                  uint64_t *id) {
  const pirn_status status = put(std::string("a\0b", 3), blob, length);
  if (status == PIRN_OK) *id = 70 + script.calls.size();
  return status;
}
pirn_status pirn_region_withdraw(pirn_region *, uint64_t id, uint64_t) {
  saw("withdraw " + std::to_string(id));
  return PIRN_OK;
}
pirn_status pirn_write(pirn_region *, uint64_t, pirn_window *, uint64_t, uint64_t, const pirn_transfer_params *params,
                       pirn_transfer *transfer) {
  return post("write", params, transfer);
}
pirn_status pirn_transfer_test(pirn_endpoint *, pirn_transfer, pirn_result *result) {
  if (result) std::strcpy(result->text, "rail tcp/eth0: reset");
  return script.transfer_status;
}
pirn_status pirn_transfer_wait(pirn_endpoint *, pirn_transfer, uint64_t timeout_ns, pirn_result *result) {
  script.timeout_ns = timeout_ns;
  std::strcpy(result->text, "rail tcp/eth0: reset");
  return script.transfer_status;
}
pirn_status pirn_transfer_cancel(pirn_endpoint *, pirn_transfer) {
  saw("cancel");
  script.transfer_status = PIRN_ERR_CANCELLED;
  return PIRN_ERR_CANCELLED;
}
pirn_status pirn_transfer_release(pirn_endpoint *, pirn_transfer id) {
  saw("release " + std::to_string(id));
  return script.transfer_status == PIRN_IN_PROGRESS ? PIRN_ERR_BUSY : PIRN_OK;
}
pirn_status pirn_notification_take(pirn_endpoint *, uint64_t timeout_ns, pirn_notification *notification, void *buffer,
                                   size_t *length) {
  script.timeout_ns = timeout_ns;
  notification->peer = handle<pirn_peer>(3);
  return script.message.empty() ? PIRN_IN_PROGRESS : put(script.message, buffer, length);
}

namespace {

void assert_calls(const std::vector<std::string> &expected) {
  std::string seen, wanted;
  for (const std::string &call : script.calls) seen += call + "; ";
  for (const std::string &call : expected) wanted += call + "; ";
  assert_string_equal(seen.c_str(), wanted.c_str());
}

// An open endpoint; the calls that opened it are forgotten.
struct Opened {
  pirn::Context context;
  pirn::Endpoint endpoint{context};
  char memory[64];
  Opened() { script.calls.clear(); }
};

int reset(void **) {
  script = Script{};
  return 0;
}

void scope__ends__closes_in_reverse_and_withdraws_windows(void **) {
  {
    Opened opened;
    pirn::Peer peer = opened.endpoint.connect("x:1");
    pirn::Window window = peer.import("text");
    pirn::Region region = opened.endpoint.register_memory(opened.memory, 64);
    const pirn::Advertisement first = region.advertise(0, 64, PIRN_ACCESS_READ);
    assert_int_equal(first.blob.size(), 3);
    assert_memory_equal(first.blob.data(), "a\0b", 3);
    assert_int_equal(first.window_id, 71);
  }
  assert_calls({"window_import text", "withdraw 71", "region_deregister", "window_close", "peer_close",
                "endpoint_close", "context_close"});
}

void affinity_and_explain__place_or_provider_or_neither__reach_c_as_given(void **) {
  Opened opened;
  const std::vector<pirn_affinity_info> here = opened.context.affinity();
  assert_int_equal(here.size(), 2);
  assert_int_equal(here[1].bridges, 8);
  assert_int_equal(opened.context.affinity("numa:1").size(), 2);
  assert_calls({"affinity NULL", "affinity numa:1"});
  assert_string_equal(opened.context.explain().c_str(), "all about NULL");
  assert_string_equal(opened.context.explain("tcp").c_str(), "all about tcp");
  assert_string_equal(opened.endpoint.explain().c_str(), "2 rails");
}

void register_memory__many_ranges__owns_every_region(void **) {
  Opened opened;
  {
    const std::vector<pirn_memory> ranges{{opened.memory, 8}, {opened.memory + 8, 8}, {opened.memory + 16, 8}};
    const std::vector<pirn::Region> regions = opened.endpoint.register_memory(ranges);
    assert_int_equal(regions.size(), 3);
    for (size_t i = 0; i < 3; ++i) assert_ptr_equal(regions[i].get(), handle<pirn_region>(100 + i));
  }
  assert_calls({"region_deregister", "region_deregister", "region_deregister"});
}

void withdraw__by_hand__is_not_repeated(void **) {
  Opened opened;
  {
    pirn::Region region = opened.endpoint.register_memory(opened.memory, 64);
    region.withdraw(region.advertise(0, 64, PIRN_ACCESS_READ).window_id);
  }
  assert_calls({"withdraw 70", "region_deregister"});
}

void trigger__posts_and_waits__in_the_stream_and_goes_before_its_list(void **) {
  Opened opened;
  {
    pirn::Prepared list = opened.endpoint.prepare(PIRN_WRITE, {pirn_segment{}});
    pirn::TransferOptions options;
    options.path = "ipc";
    pirn::Trigger trigger = list.trigger(options);
    trigger.post(reinterpret_cast<void *>(11));
    trigger.wait(reinterpret_cast<void *>(12));
    assert_int_equal(trigger.info().posts, 9);
    assert_int_equal(trigger.cancel(), PIRN_ERR_CANCELLED);
  }
  assert_calls({"trigger_create ipc", "stream_post 11", "stream_wait 12", "trigger_cancel", "trigger_release",
                "prepared_release"});
}

void children__outlive_their_endpoint__are_not_closed_again(void **) {
  Opened opened;
  pirn::Peer peer = opened.endpoint.connect("x:1");
  pirn::Window window = peer.import("text");
  pirn::Region region = opened.endpoint.register_memory(opened.memory, 64);
  (void)region.advertise(0, 64, PIRN_ACCESS_READ);
  script.transfer_status = PIRN_IN_PROGRESS;
  pirn::Transfer transfer = region.start_write(0, window, 0, 64);
  script.calls.clear();

  assert_int_equal(opened.endpoint.close(), PIRN_OK);
  assert_false(static_cast<bool>(peer));
  assert_null(region.get());
  assert_int_equal(transfer.status(), PIRN_ERR_INVALID);
  peer.close();
  window.close();
  region.close();
  transfer.close();
  assert_calls({"endpoint_close"});
}

void context__destroyed_first__closes_after_its_endpoint(void **) {
  {
    auto context = std::make_unique<pirn::Context>(std::vector<std::string>{"provider=tcp", "spin_time=0us"});
    pirn::EndpointOptions options;
    options.provider = "tcp";
    pirn::Endpoint endpoint(*context, options);
    context.reset();
    assert_calls({"context_open 2", "endpoint_open tcp"});
  }
  assert_calls({"context_open 2", "endpoint_open tcp", "endpoint_close", "context_close"});
}

void move__assigned_over__closes_the_old_handle_once(void **) {
  Opened opened;
  {
    pirn::Region first = opened.endpoint.register_memory(opened.memory, 64);
    pirn::Region second = opened.endpoint.register_memory(opened.memory, 64);
    (void)second.advertise(0, 64, PIRN_ACCESS_READ);
    first = std::move(second);
    assert_calls({"region_deregister"});
    assert_null(second.get());
  }
  assert_calls({"region_deregister", "withdraw 70", "region_deregister"});
}

void call__fails__throws_status_and_text(void **) {
  Opened opened;
  script.next_open = PIRN_ERR_REFUSED;
  try {
    (void)opened.endpoint.connect("x:1");
    fail_msg("no exception");
  } catch (const pirn::Error &error) {
    assert_int_equal(error.status(), PIRN_ERR_REFUSED);
    assert_string_equal(error.what(), "as scripted");
  }
}

void write__with_options__passes_them_all(void **) {
  Opened opened;
  pirn::Window window = opened.endpoint.connect("x:1").import("t");
  pirn::Region region = opened.endpoint.register_memory(opened.memory, 64);
  script.calls.clear();
  pirn::TransferOptions options;
  options.notify = "hello";
  options.timeout = std::chrono::milliseconds(3);
  options.user_data = 9;
  region.write(0, window, 0, 64, options);
  assert_calls({"write blocking"});
  assert_int_equal(script.params.struct_size, sizeof(pirn_transfer_params));
  assert_int_equal(script.params.notify_length, 5);
  assert_memory_equal(script.params.notify, "hello", 5);
  assert_int_equal(script.params.timeout_ns, 3000000);
  assert_int_equal(script.params.user_data, 9);
  assert_int_equal(script.params.flags, 0);
}

void transfer__destroyed_while_running__is_cancelled_and_released(void **) {
  Opened opened;
  pirn::Window window = opened.endpoint.connect("x:1").import("t");
  pirn::Region region = opened.endpoint.register_memory(opened.memory, 64);
  script.calls.clear();
  {
    pirn::Transfer transfer = region.start_write(0, window, 0, 64);
    script.transfer_status = PIRN_IN_PROGRESS;
    assert_false(transfer.test());
  }
  assert_calls({"write async", "release 55", "cancel", "release 55"});
}

void transfer__queued__is_left_to_poll(void **) {
  Opened opened;
  pirn::Window window = opened.endpoint.connect("x:1").import("t");
  pirn::Region region = opened.endpoint.register_memory(opened.memory, 64);
  script.calls.clear();
  pirn::TransferOptions options;
  options.queued = true;
  assert_int_equal(region.start_write(0, window, 0, 64, options).id(), 55);
  assert_int_equal(script.params.flags, PIRN_TRANSFER_QUEUED);
  assert_calls({"write async"});
}

void transfer__failed__wait_throws_the_text_of_its_result(void **) {
  Opened opened;
  pirn::Window window = opened.endpoint.connect("x:1").import("t");
  pirn::Region region = opened.endpoint.register_memory(opened.memory, 64);
  pirn::Transfer transfer = region.start_write(0, window, 0, 64);
  script.transfer_status = PIRN_ERR_PEER_LOST;
  assert_int_equal(transfer.status(), PIRN_ERR_PEER_LOST);
  assert_int_equal(transfer.wait_result().status, PIRN_ERR_PEER_LOST);
  try {
    transfer.wait(std::chrono::seconds(1));
    fail_msg("no exception");
  } catch (const pirn::Error &error) {
    assert_int_equal(error.status(), PIRN_ERR_PEER_LOST);
    assert_string_equal(error.what(), "rail tcp/eth0: reset");
  }
  assert_int_equal(script.timeout_ns, 1000000000);
}

void timeout__negative__is_the_shortest_and_not_the_default(void **) {
  Opened opened;
  (void)opened.endpoint.connect("x:1", std::chrono::seconds(-5));
  assert_int_equal(script.timeout_ns, 1);
  (void)opened.endpoint.connect("x:1");
  assert_int_equal(script.timeout_ns, 0);
}

void address__grows_between_the_calls__is_read_whole(void **) {
  Opened opened;
  assert_string_equal(opened.endpoint.address().c_str(), "127.0.0.1:5");
  script.calls.clear();
  script.text_grows_to = 200;
  assert_int_equal(opened.endpoint.address().size(), 200);
  assert_calls({"endpoint_address", "endpoint_address", "endpoint_address"});
}

void notification__large_small_and_none__are_told_apart(void **) {
  Opened opened;
  assert_false(opened.endpoint.take_notification_now().has_value());
  assert_true(script.timeout_ns == PIRN_POLL_NOW);
  for (const size_t size : {size_t{1}, size_t{256}, size_t{257}, size_t{PIRN_NOTIFICATION_MAX}}) {
    script.message = std::string(size, static_cast<char>(size % 251));
    const std::optional<pirn::Notification> taken = opened.endpoint.take_notification();
    assert_true(taken.has_value());
    assert_true(taken->message == script.message);
    assert_ptr_equal(taken->sender, handle<pirn_peer>(3));
  }
}

void settings__list__ends_at_range(void **) {
  Opened opened;
  const std::vector<pirn_setting_info> settings = opened.context.settings();
  assert_int_equal(settings.size(), 3);
  assert_string_equal(settings[2].name, "PIRN_X");
}

}  // namespace

int main() {
#define SCENARIO(name) cmocka_unit_test_setup(name, reset)
  const CMUnitTest tests[] = {
      SCENARIO(scope__ends__closes_in_reverse_and_withdraws_windows),
      SCENARIO(affinity_and_explain__place_or_provider_or_neither__reach_c_as_given),
      SCENARIO(register_memory__many_ranges__owns_every_region),
      SCENARIO(withdraw__by_hand__is_not_repeated),
      SCENARIO(trigger__posts_and_waits__in_the_stream_and_goes_before_its_list),
      SCENARIO(children__outlive_their_endpoint__are_not_closed_again),
      SCENARIO(context__destroyed_first__closes_after_its_endpoint),
      SCENARIO(move__assigned_over__closes_the_old_handle_once),
      SCENARIO(call__fails__throws_status_and_text),
      SCENARIO(write__with_options__passes_them_all),
      SCENARIO(transfer__destroyed_while_running__is_cancelled_and_released),
      SCENARIO(transfer__queued__is_left_to_poll),
      SCENARIO(transfer__failed__wait_throws_the_text_of_its_result),
      SCENARIO(timeout__negative__is_the_shortest_and_not_the_default),
      SCENARIO(address__grows_between_the_calls__is_read_whole),
      SCENARIO(notification__large_small_and_none__are_told_apart),
      SCENARIO(settings__list__ends_at_range),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
