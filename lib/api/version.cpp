// SPDX-License-Identifier: Apache-2.0
#include <pirn/version.h>

#define PIRN_QUOTE_(text) #text
#define PIRN_QUOTE(text) PIRN_QUOTE_(text)

uint32_t pirn_version(void) { return PIRN_VERSION_NUMBER; }

const char *pirn_version_string(void) {
  return PIRN_QUOTE(PIRN_VERSION_MAJOR) "." PIRN_QUOTE(PIRN_VERSION_MINOR) "." PIRN_QUOTE(PIRN_VERSION_PATCH);
}
