/* SPDX-License-Identifier: Apache-2.0 */
/* Every public function refuses missing objects and structs of no release, says so, and leaves defined outputs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pirn/pirn.h>

#define DIRTY ((uintptr_t)0x5a5a5a5a)

/* INVALID, with a text that the call itself has set. */
#define REFUSED(call)                                        \
  do {                                                       \
    spoil_last_error();                                      \
    assert_int_equal(call, PIRN_ERR_INVALID);                \
    assert_string_not_equal(pirn_last_error(), spoilt_text); \
    assert_string_not_equal(pirn_last_error(), "");          \
  } while (0)

static char spoilt_text[256];

/* Leaves a text that no call below can produce. */
static void spoil_last_error(void) {
  char byte = 0;
  size_t length = 1;
  assert_int_equal(pirn_blob_from_text("spoilt", &byte, &length), PIRN_ERR_INVALID);
  snprintf(spoilt_text, sizeof spoilt_text, "%s", pirn_last_error());
}

static pirn_context *open_context(void) {
  pirn_context *context = NULL;
  assert_int_equal(pirn_context_open(NULL, &context), PIRN_OK);
  assert_non_null(context);
  return context;
}

static void context__missing_or_malformed__is_refused(void **state) {
  struct {
    pirn_context_params params;
    char newer[24];
  } caller;
  pirn_context *context = (pirn_context *)DIRTY;
  (void)state;
  REFUSED(pirn_context_open(NULL, NULL));
  assert_int_equal(pirn_context_close(NULL), PIRN_OK);

  memset(&caller, 0, sizeof caller);
  REFUSED(pirn_context_open(&caller.params, &context));
  assert_null(context);
  assert_non_null(strstr(pirn_last_error(), "pirn_context_params: struct_size is 0"));

  caller.params.struct_size = sizeof caller;
  assert_int_equal(pirn_context_open(&caller.params, &context), PIRN_OK);
  assert_int_equal(pirn_context_close(context), PIRN_OK);

  context = (pirn_context *)DIRTY;
  caller.newer[5] = 1;
  REFUSED(pirn_context_open(&caller.params, &context));
  assert_null(context);
  assert_non_null(strstr(pirn_last_error(), "pirn_context_params: byte 45"));

  caller.params.struct_size = sizeof caller.params;
  caller.params.settings_count = 1;
  REFUSED(pirn_context_open(&caller.params, &context));
}

/* One list of the context: refuses what is missing, ends with RANGE, zeroes what it does not fill. */
#define INFO_LIST(function, type)                                       \
  do {                                                                  \
    type info;                                                          \
    type zero;                                                          \
    memset(&zero, 0, sizeof zero);                                      \
    zero.struct_size = sizeof zero;                                     \
    memset(&info, 0x5a, sizeof info);                                   \
    info.struct_size = sizeof info;                                     \
    assert_int_equal(function(context, UINT64_MAX, &info), PIRN_ERR_RANGE); \
    assert_memory_equal(&info, &zero, sizeof info);                     \
    memset(&info, 0x5a, sizeof info);                                   \
    info.struct_size = sizeof info;                                     \
    REFUSED(function(NULL, 0, &info));                                  \
    assert_memory_equal(&info, &zero, sizeof info);                     \
    info.struct_size = sizeof info.struct_size;                         \
    REFUSED(function(context, 0, &info));                               \
    assert_non_null(strstr(pirn_last_error(), #type));                  \
    REFUSED(function(context, 0, NULL));                                \
  } while (0)

static pirn_status link_from_first(pirn_context *context, uint64_t index, pirn_device_link_info *info) {
  return pirn_info_device_link(context, 0, index, info);
}

static void check_lacks(pirn_context *context) {
  const char *reason = (const char *)DIRTY;
  REFUSED(pirn_info_device_lacks(NULL, 0, PIRN_DEVICE_DMA_BUF, &reason));
  assert_null(reason);
  REFUSED(pirn_info_device_lacks(context, 0, PIRN_DEVICE_DMA_BUF, NULL));
  REFUSED(pirn_info_device_lacks(context, 0, 0, &reason));
  REFUSED(pirn_info_device_lacks(context, 0, 3, &reason));
  REFUSED(pirn_info_device_lacks(context, 0, 64, &reason));
  assert_int_equal(pirn_info_device_lacks(context, UINT64_MAX, PIRN_DEVICE_DMA_BUF, &reason), PIRN_ERR_RANGE);
  assert_null(reason);
}

static pirn_status affinity_here(pirn_context *context, uint64_t index, pirn_affinity_info *info) {
  return pirn_info_affinity(context, NULL, index, info);
}

/* Places that are none, and one that no machine has. */
static void check_places(pirn_context *context) {
  static const char *const wrong[] = {"", "numa:", "numa:x", "numa:-1", "numa:12345678901", "eth0", "21:00"};
  pirn_affinity_info info;
  size_t i;
  for (i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    memset(&info, 0x5a, sizeof info);
    info.struct_size = sizeof info;
    REFUSED(pirn_info_affinity(context, wrong[i], 0, &info));
    assert_non_null(strstr(pirn_last_error(), wrong[i]));
    assert_null(info.name);
  }
  assert_int_equal(pirn_info_affinity(context, "ffff:ff:1f.7", 0, &info), PIRN_OK);
  assert_int_equal(info.distance, PIRN_DISTANCE_UNKNOWN);
  assert_int_equal(info.nearest, 1);
  assert_string_not_equal(info.name, "");
}

/* Text of variable size: asked for, too small, fitting, larger than needed. */
static void check_explanation(pirn_context *context, const char *provider) {
  static char text[65536];
  size_t needed = 0, length;
  assert_int_equal(pirn_info_explain(context, provider, NULL, &needed), PIRN_ERR_TOO_SMALL);
  assert_in_range(needed, 50, sizeof text);
  memset(text, 0x5a, sizeof text);
  length = needed - 1;
  assert_int_equal(pirn_info_explain(context, provider, text, &length), PIRN_ERR_TOO_SMALL);
  assert_int_equal(length, needed);
  assert_int_equal(text[0], 0x5a);
  length = sizeof text;
  assert_int_equal(pirn_info_explain(context, provider, text, &length), PIRN_OK);
  assert_int_equal(length, strlen(text) + 1);
  assert_int_equal(text[length], 0x5a);
  assert_non_null(strstr(text, "provider tcp"));
}

static void explain__sizes_and_unknown_provider(void **state) {
  pirn_context *context = open_context();
  size_t length = 0;
  (void)state;
  check_explanation(context, NULL);
  check_explanation(context, "tcp");
  REFUSED(pirn_info_explain(context, "spam", NULL, &length));
  assert_non_null(strstr(pirn_last_error(), "\"spam\" is unknown"));
  REFUSED(pirn_info_explain(NULL, NULL, NULL, &length));
  REFUSED(pirn_info_explain(context, NULL, NULL, NULL));
  REFUSED(pirn_endpoint_explain(NULL, NULL, &length));
  assert_int_equal(pirn_context_close(context), PIRN_OK);
}

static void info__missing_or_malformed__is_refused(void **state) {
  pirn_context *context = open_context();
  (void)state;
  INFO_LIST(pirn_info_setting, pirn_setting_info);
  INFO_LIST(pirn_info_provider, pirn_provider_info);
  INFO_LIST(pirn_info_nic, pirn_nic_info);
  INFO_LIST(affinity_here, pirn_affinity_info);
  INFO_LIST(pirn_info_device_kind, pirn_device_kind_info);
  INFO_LIST(pirn_info_device, pirn_device_info);
  INFO_LIST(link_from_first, pirn_device_link_info);
  check_lacks(context);
  check_places(context);
  assert_string_not_equal(pirn_info_libfabric_version(), "");
  assert_string_not_equal(pirn_info_build(), "");
  assert_int_equal(pirn_context_close(context), PIRN_OK);
}

static void endpoint__missing_or_malformed__is_refused(void **state) {
  pirn_context *context = open_context();
  pirn_endpoint *endpoint = (pirn_endpoint *)DIRTY;
  pirn_endpoint_params params;
  pirn_peer *peer = (pirn_peer *)DIRTY;
  uint64_t events = DIRTY;
  int32_t fd = 7;
  size_t length = 0;
  (void)state;
  REFUSED(pirn_endpoint_open(NULL, NULL, &endpoint));
  assert_null(endpoint);
  REFUSED(pirn_endpoint_open(context, NULL, NULL));
  memset(&params, 0, sizeof params);
  endpoint = (pirn_endpoint *)DIRTY;
  REFUSED(pirn_endpoint_open(context, &params, &endpoint));
  assert_null(endpoint);
  params.struct_size = sizeof params;
  params.reserved = 1;
  REFUSED(pirn_endpoint_open(context, &params, &endpoint));
  params.reserved = 0;
  params.progress = 4;
  REFUSED(pirn_endpoint_open(context, &params, &endpoint));

  assert_int_equal(pirn_endpoint_close(NULL), PIRN_OK);
  REFUSED(pirn_endpoint_metadata(NULL, NULL, &length));
  REFUSED(pirn_endpoint_listen(NULL, "127.0.0.1:0"));
  REFUSED(pirn_endpoint_address(NULL, NULL, &length));
  REFUSED(pirn_endpoint_accept(NULL, 1, &peer));
  assert_null(peer);
  REFUSED(pirn_endpoint_accept_start(NULL, NULL, NULL));
  REFUSED(pirn_endpoint_accept_stop(NULL));
  REFUSED(pirn_endpoint_progress(NULL, &events));
  assert_int_equal(events, 0);
  REFUSED(pirn_endpoint_fd(NULL, &fd));
  assert_int_equal(fd, -1);
  assert_int_equal(pirn_context_close(context), PIRN_OK);
}

static void peer__missing__is_refused(void **state) {
  pirn_peer *peer = (pirn_peer *)DIRTY;
  pirn_peer_info info;
  size_t length = 0;
  (void)state;
  REFUSED(pirn_peer_connect(NULL, "127.0.0.1:1", 1, &peer));
  assert_null(peer);
  peer = (pirn_peer *)DIRTY;
  REFUSED(pirn_peer_add(NULL, "x", 1, &peer));
  assert_null(peer);
  REFUSED(pirn_peer_wait(NULL, 1));
  assert_int_equal(pirn_peer_close(NULL), PIRN_OK);
  memset(&info, 0x5a, sizeof info);
  info.struct_size = sizeof info;
  REFUSED(pirn_peer_get_info(NULL, &info));
  assert_int_equal(info.in_flight, 0);
  assert_int_equal(info.provider[0], 0);
  REFUSED(pirn_peer_explain(NULL, NULL, &length));
}

static void memory__missing__is_refused(void **state) {
  char bytes[16] = {0};
  size_t length = sizeof bytes;
  pirn_memory range = {bytes, sizeof bytes};
  pirn_region *region = (pirn_region *)DIRTY;
  pirn_window *window = (pirn_window *)DIRTY;
  uint64_t id = DIRTY, window_length = DIRTY;
  uint32_t access = 7;
  (void)state;
  REFUSED(pirn_region_register(NULL, bytes, sizeof bytes, NULL, &region));
  assert_null(region);
  region = (pirn_region *)DIRTY;
  REFUSED(pirn_region_register_many(NULL, &range, 1, NULL, &region));
  assert_null(region);
  assert_int_equal(pirn_region_deregister(NULL), PIRN_OK);
  REFUSED(pirn_region_advertise(NULL, 0, 1, PIRN_ACCESS_READ, bytes, &length, &id));
  assert_int_equal(id, 0);
  REFUSED(pirn_region_withdraw(NULL, 1, 1));
  REFUSED(pirn_window_import(NULL, bytes, sizeof bytes, &window));
  assert_null(window);
  assert_int_equal(pirn_window_close(NULL), PIRN_OK);
  REFUSED(pirn_window_get(NULL, &window_length, &access));
  assert_int_equal(window_length, 0);
  assert_int_equal(access, 0);
  length = sizeof bytes;
  REFUSED(pirn_blob_to_text(NULL, 4, bytes, &length));
  REFUSED(pirn_blob_to_text("spam", 4, bytes, &length));
  REFUSED(pirn_blob_from_text(NULL, bytes, &length));
}

static void transfer__missing__is_refused_and_has_no_id(void **state) {
  static const pirn_segment segment;
  const uint32_t index = 0;
  pirn_transfer transfer = DIRTY;
  pirn_prepared *prepared = (pirn_prepared *)DIRTY;
  (void)state;
  REFUSED(pirn_write(NULL, 0, NULL, 0, 1, NULL, &transfer));
  assert_int_equal(transfer, 0);
  transfer = DIRTY;
  REFUSED(pirn_read(NULL, 0, NULL, 0, 1, NULL, &transfer));
  assert_int_equal(transfer, 0);
  transfer = DIRTY;
  REFUSED(pirn_writev(&segment, 1, NULL, &transfer));
  assert_int_equal(transfer, 0);
  transfer = DIRTY;
  REFUSED(pirn_readv(NULL, 1, NULL, &transfer));
  assert_int_equal(transfer, 0);
  REFUSED(pirn_transfer_prepare(PIRN_READ, &segment, 1, &prepared));
  assert_null(prepared);
  REFUSED(pirn_transfer_prepare(3, &segment, 1, &prepared));
  transfer = DIRTY;
  REFUSED(pirn_prepared_post(NULL, NULL, &transfer));
  assert_int_equal(transfer, 0);
  transfer = DIRTY;
  REFUSED(pirn_prepared_post_select(NULL, &index, NULL, 1, NULL, &transfer));
  assert_int_equal(transfer, 0);
  assert_int_equal(pirn_prepared_release(NULL), PIRN_OK);
  transfer = DIRTY;
  REFUSED(pirn_notify(NULL, "x", 1, NULL, &transfer));
  assert_int_equal(transfer, 0);
}

static void stream__missing__is_refused_with_empty_results(void **state) {
  pirn_trigger *trigger = (pirn_trigger *)DIRTY;
  pirn_trigger_info info;
  (void)state;
  REFUSED(pirn_trigger_create(NULL, NULL, &trigger));
  assert_null(trigger);
  REFUSED(pirn_trigger_create(NULL, NULL, NULL));
  REFUSED(pirn_stream_post(NULL, NULL));
  REFUSED(pirn_stream_wait(NULL, NULL));
  REFUSED(pirn_stream_wait_transfer(NULL, 1, NULL));
  memset(&info, 0x5a, sizeof info);
  REFUSED(pirn_trigger_get_info(NULL, &info));
  info.struct_size = sizeof info;
  REFUSED(pirn_trigger_get_info(NULL, &info));
  assert_int_equal(info.posts, 0);
  assert_null(info.device_status);
  REFUSED(pirn_trigger_get_info(NULL, NULL));
  REFUSED(pirn_trigger_cancel(NULL));
  assert_int_equal(pirn_trigger_release(NULL), PIRN_OK);
}

static void completion__missing__is_refused_with_empty_results(void **state) {
  pirn_result result;
  pirn_notification notification;
  uint64_t count = DIRTY;
  size_t length = 0;
  (void)state;
  memset(&result, 0x5a, sizeof result);
  result.struct_size = sizeof result;
  REFUSED(pirn_transfer_test(NULL, 1, &result));
  assert_int_equal(result.bytes, 0);
  REFUSED(pirn_transfer_wait(NULL, 1, 1, &result));
  REFUSED(pirn_transfer_cancel(NULL, 1));
  REFUSED(pirn_transfer_release(NULL, 1));
  REFUSED(pirn_endpoint_poll(NULL, PIRN_POLL_NOW, &result, sizeof result, 1, &count));
  assert_int_equal(count, 0);
  memset(&notification, 0x5a, sizeof notification);
  notification.struct_size = sizeof notification;
  REFUSED(pirn_notification_take(NULL, PIRN_POLL_NOW, &notification, NULL, &length));
  assert_null(notification.peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(context__missing_or_malformed__is_refused),
      cmocka_unit_test(info__missing_or_malformed__is_refused),
      cmocka_unit_test(explain__sizes_and_unknown_provider),
      cmocka_unit_test(endpoint__missing_or_malformed__is_refused),
      cmocka_unit_test(peer__missing__is_refused),
      cmocka_unit_test(memory__missing__is_refused),
      cmocka_unit_test(transfer__missing__is_refused_and_has_no_id),
      cmocka_unit_test(stream__missing__is_refused_with_empty_results),
      cmocka_unit_test(completion__missing__is_refused_with_empty_results),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
