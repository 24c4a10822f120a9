/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/version.h: version of the headers and of the library that is loaded. */
#ifndef PIRN_VERSION_H
#define PIRN_VERSION_H

#include <stdint.h>

#define PIRN_VERSION_MAJOR 0
#define PIRN_VERSION_MINOR 1
#define PIRN_VERSION_PATCH 0
#define PIRN_VERSION_NUMBER \
  ((PIRN_VERSION_MAJOR << 16) | (PIRN_VERSION_MINOR << 8) | PIRN_VERSION_PATCH)

#if defined(__GNUC__)
#define PIRN_API __attribute__((visibility("default")))
#else
#define PIRN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the loaded library, laid out like PIRN_VERSION_NUMBER. Any thread. */
PIRN_API uint32_t pirn_version(void);

/* "0.1.0". Static storage. Any thread. */
PIRN_API const char *pirn_version_string(void);

#ifdef __cplusplus
}
#endif
#endif
