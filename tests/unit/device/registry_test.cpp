// SPDX-License-Identifier: Apache-2.0
// The registry over tables that a script fills in.
#include "../check.h"
#include "device/registry.h"

namespace {

using namespace pirn;
using namespace pirn::device;

struct Script {
  Status load, load_if_loaded, listing;
  uint32_t devices = 0;
  uint32_t loads = 0;        // calls that may open a runtime
  const void *owned = nullptr;
  Status identifying;
};
Script first, second;

Status answer_load(Script &script, bool only_if_loaded) {
  if (only_if_loaded) return script.load_if_loaded;
  ++script.loads;
  return script.load;
}

Result<std::vector<Info>> answer_devices(const Script &script, uint8_t mark) {
  if (!script.listing.is_ok()) return script.listing;
  std::vector<Info> all(script.devices);
  for (uint32_t i = 0; i < script.devices; ++i) {
    all[i].ordinal = i;
    all[i].uuid.fill(static_cast<uint8_t>(mark + i));
    all[i].pci.bus = static_cast<uint8_t>(mark + i);
  }
  return all;
}

Result<std::optional<Allocation>> answer_identify(const Script &script, const void *address) {
  if (!script.identifying.is_ok()) return script.identifying;
  if (address != script.owned) return std::optional<Allocation>();
  Allocation found;
  found.address = const_cast<void *>(address);
  found.id = 7;
  return std::optional<Allocation>(found);
}

Operations scripted(const char *name) {
  Operations table = unsupported(name);
  table.version = [] { return Result<std::string>("version 3"); };
  return table;
}

const std::vector<const Operations *> &both() {
  static const Operations one = [] {
    Operations table = scripted("one");
    table.load = [](bool only_if_loaded) { return answer_load(first, only_if_loaded); };
    table.devices = [] { return answer_devices(first, 0x10); };
    table.identify = [](const void *address) { return answer_identify(first, address); };
    return table;
  }();
  static const Operations two = [] {
    Operations table = scripted("two");
    table.load = [](bool only_if_loaded) { return answer_load(second, only_if_loaded); };
    table.devices = [] { return answer_devices(second, 0x20); };
    table.identify = [](const void *address) { return answer_identify(second, address); };
    return table;
  }();
  static const std::vector<const Operations *> all = {&one, &two};
  return all;
}

int reset(void **) {
  first = Script{};
  second = Script{};
  return 0;
}

Status missing() { return fail(PIRN_ERR_UNAVAILABLE, "libone.so: cannot open shared object file"); }

void devices__of_two_kinds__are_one_list(void **) {
  first.devices = 1;
  second.devices = 2;
  const Registry registry(both());
  assert_int_equal(registry.devices().size(), 3);
  assert_text(registry.devices()[0].name(), "one:0");
  assert_text(registry.devices()[1].name(), "two:0");
  assert_text(registry.devices()[2].name(), "two:1");
}

void kinds__tell_what_is_loaded_and_what_is_usable(void **) {
  first.load = missing();
  second.devices = 2;
  const Registry registry(both());
  const Kind &absent = registry.kinds()[0], &there = registry.kinds()[1];
  assert_false(absent.loaded || absent.usable());
  assert_text(absent.reason, "libone.so: cannot open shared object file");
  assert_text(absent.version, "");
  assert_true(there.loaded && there.usable());
  assert_int_equal(there.devices, 2);
  assert_text(there.reason, "");
  assert_text(there.version, "version 3");
}

void kinds__runtime_without_devices__is_loaded_but_not_usable(void **) {
  second.listing = fail(PIRN_ERR_IO, "listing: ERROR_SCRIPTED (as told)");
  const Registry registry(both());
  assert_true(registry.kinds()[0].loaded);
  assert_false(registry.kinds()[0].usable());
  assert_text(registry.kinds()[0].reason, "the runtime shows this process no device");
  assert_true(registry.kinds()[1].loaded);
  assert_false(registry.kinds()[1].usable());
  assert_text(registry.kinds()[1].reason, "listing: ERROR_SCRIPTED (as told)");
}

void find__by_name_uuid_and_pci__is_the_same_device(void **) {
  first.devices = 3;
  second.devices = 2;
  const Registry registry(both());
  const Result<const Device *> named = registry.find("two:1");
  assert_true(named.is_ok());
  assert_ptr_equal(named.value(), &registry.devices()[4]);
  assert_ptr_equal(registry.find(named.value()->info.uuid), named.value());
  assert_ptr_equal(registry.find(named.value()->info.pci), named.value());
}

void find__uuid_or_pci_of_another_host__is_null(void **) {
  first.devices = 1;
  const Registry registry(both());
  Uuid uuid{};
  uuid.fill(0x33);
  assert_null(registry.find(uuid));
  assert_null(registry.find(PciAddress{1, 0x10, 0, 0}));
}

void find__malformed_name__is_invalid(void **) {
  first.devices = second.devices = 1;
  const Registry registry(both());
  const std::vector<const char *> malformed = {"",       "one",    "one:",    ":0",     "one:x",
                                               "one:0x", "one: 0", "three:0", "one:-1", "one:4294967296"};
  for (const char *name : malformed) {
    const Result<const Device *> found = registry.find(name);
    assert_false(found.is_ok());
    assert_int_equal(found.status().code, PIRN_ERR_INVALID);
    assert_text(found.status().text,
                "device \"" + std::string(name) + "\": KIND:NUMBER is allowed, with KIND one of: one, two");
  }
}

void find__number_that_is_not_there__names_those_that_are(void **) {
  first.devices = 2;
  second.devices = 3;
  const Result<const Device *> found = Registry(both()).find("one:2");
  assert_false(found.is_ok());
  assert_int_equal(found.status().code, PIRN_ERR_UNAVAILABLE);
  assert_text(found.status().text, "device one:2 is not there: this process sees one:0, one:1");
}

void find__kind_that_did_not_load__says_why(void **) {
  first.load = missing();
  const Result<const Device *> found = Registry(both()).find("one:0");
  assert_false(found.is_ok());
  assert_int_equal(found.status().code, PIRN_ERR_UNAVAILABLE);
  assert_text(found.status().text, "device one:0: libone.so: cannot open shared object file");
}

void identify__asks_loaded_runtimes_only(void **) {
  const int here = 0;
  first.load_if_loaded = missing();
  first.owned = second.owned = &here;
  const Result<std::optional<Memory>> found = identify(&here, both());
  assert_true(found.is_ok() && found.value().has_value());
  assert_text(found.value()->operations->name, "two");
  assert_ptr_equal(found.value()->allocation.address, &here);
  assert_int_equal(found.value()->allocation.id, 7);
  assert_int_equal(first.loads + second.loads, 0);
}

void identify__memory_of_nobody__is_nothing(void **) {
  const int here = 0;
  const Result<std::optional<Memory>> found = identify(&here, both());
  assert_true(found.is_ok());
  assert_false(found.value().has_value());
}

void identify__runtime_that_fails__is_an_error_not_host_memory(void **) {
  const int here = 0;
  first.identifying = fail(PIRN_ERR_IO, "asking: ERROR_SCRIPTED (as told)");
  second.owned = &here;
  const Result<std::optional<Memory>> found = identify(&here, both());
  assert_false(found.is_ok());
  assert_text(found.status().text, "asking: ERROR_SCRIPTED (as told)");
}

void tables__every_one__has_a_name_of_its_own(void **) {
  assert_true(tables().size() >= 1);
  for (const Operations *table : tables()) assert_ptr_equal(find_table(table->name), table);
  assert_null(find_table("three"));
}

void unsupported__every_slot__is_unavailable(void **) {
  const Operations table = unsupported("three");
  assert_int_equal(table.load(false).code, PIRN_ERR_UNAVAILABLE);
  assert_int_equal(table.identify(nullptr).status().code, PIRN_ERR_UNAVAILABLE);
  assert_int_equal(table.copy_blocks(0, nullptr, nullptr, 0, 0).code, PIRN_ERR_UNAVAILABLE);
  assert_int_equal(table.copy_selected(0, nullptr, {}, 0).code, PIRN_ERR_UNAVAILABLE);
  assert_int_equal(table.write_word(nullptr, nullptr, 0).code, PIRN_ERR_UNAVAILABLE);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup(devices__of_two_kinds__are_one_list, reset),
      cmocka_unit_test_setup(kinds__tell_what_is_loaded_and_what_is_usable, reset),
      cmocka_unit_test_setup(kinds__runtime_without_devices__is_loaded_but_not_usable, reset),
      cmocka_unit_test_setup(find__by_name_uuid_and_pci__is_the_same_device, reset),
      cmocka_unit_test_setup(find__uuid_or_pci_of_another_host__is_null, reset),
      cmocka_unit_test_setup(find__malformed_name__is_invalid, reset),
      cmocka_unit_test_setup(find__number_that_is_not_there__names_those_that_are, reset),
      cmocka_unit_test_setup(find__kind_that_did_not_load__says_why, reset),
      cmocka_unit_test_setup(identify__asks_loaded_runtimes_only, reset),
      cmocka_unit_test_setup(identify__memory_of_nobody__is_nothing, reset),
      cmocka_unit_test_setup(identify__runtime_that_fails__is_an_error_not_host_memory, reset),
      cmocka_unit_test(tables__every_one__has_a_name_of_its_own),
      cmocka_unit_test(unsupported__every_slot__is_unavailable),
  };
  return cmocka_run_group_tests_name("device registry", tests, nullptr, nullptr);
}
