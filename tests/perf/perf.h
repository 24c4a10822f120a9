/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks share. Errors end the process: a benchmark with a failed step has no result. */
#ifndef PIRN_TESTS_PERF_H
#define PIRN_TESTS_PERF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <pirn/pirn.h>

uint64_t now_ns(void);
uint64_t resident_bytes(void); /* of this process */

/* Ends the process with pirn's words unless the status is OK. */
void must(pirn_status status, const char *what);
void *must_map(size_t bytes, int shared);

/* Sorts samples (ns) and returns the given percentile in microseconds. */
double percentile_us(uint64_t *samples, size_t count, unsigned percent);

pirn_endpoint *open_endpoint(pirn_context **context, const char *provider, uint32_t progress);

struct blob {
  size_t length;
  unsigned char bytes[8192];
};
/* Registers memory and opens all of it to reads and writes. */
pirn_region *share(pirn_endpoint *endpoint, void *memory, uint64_t length, struct blob *blob);

/* fork(); the child dies with the parent. */
pid_t fork_child(void);
/* Spins politely until *flag reaches `value`, driving the endpoints meanwhile; ends the process after a minute. */
void await(const int *flag, int value, pirn_endpoint *const *endpoints, size_t count, unsigned pause_us);

#endif
