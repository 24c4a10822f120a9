// SPDX-License-Identifier: Apache-2.0
#include "base/pci_address.h"
#include "../check.h"

using namespace pirn;

namespace {

void parse__long_and_short_forms__the_same_address(void **) {
  assert_true((parse_pci_address("0000:21:00.0") == PciAddress{0, 0x21, 0, 0}));
  assert_true(parse_pci_address("21:00.0") == parse_pci_address("0000:21:00.0"));
  assert_true((parse_pci_address("00A1:fF:1f.7") == PciAddress{0xa1, 0xff, 0x1f, 7}));
  assert_true((parse_pci_address("00010000:01:02.3") == PciAddress{0x10000, 1, 2, 3}));
}

void parse__anything_else__is_nothing(void **) {
  for (const char *wrong : {"",
                            "eth0",
                            "21:00",
                            "21:00.",
                            "21:00.8",
                            "21:20.0",
                            "1:00.0",
                            "021:00.0",
                            "21:0.0",
                            "21:000.0",
                            "0000:21:00.0 ",
                            " 21:00.0",
                            "000:21:00.0",
                            "000000000:21:00.0",
                            "0000:21:00.00",
                            "::1",
                            "fd00::2",
                            "fe80::1:00.0",
                            "10.0.0.1",
                            "0000.21:00.0",
                            "0000:21-00.0",
                            "g1:00.0"})
    if (parse_pci_address(wrong)) fail_test("\"%s\" was taken for a PCI address", wrong);
}

void text__parsed_again__is_the_same(void **) {
  Seeded seeded;
  for (int i = 0; i < 1000; ++i) {
    const PciAddress address{static_cast<uint32_t>(seeded.any() >> (seeded.between(0, 1) ? 32 : 48)),
                             static_cast<uint8_t>(seeded.any()), static_cast<uint8_t>(seeded.between(0, 31)),
                             static_cast<uint8_t>(seeded.between(0, 7))};
    assert_true(parse_pci_address(pci_text(address)) == address);
  }
  assert_text(pci_text({0, 0x21, 0, 1}), "0000:21:00.1");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(parse__long_and_short_forms__the_same_address),
      cmocka_unit_test(parse__anything_else__is_nothing),
      cmocka_unit_test(text__parsed_again__is_the_same),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
