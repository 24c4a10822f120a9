/* SPDX-License-Identifier: Apache-2.0 */
#include "perf.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define GIVE_UP_NS 60000000000ull

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t resident_bytes(void) {
  unsigned long long size = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f) return 0;
  if (fscanf(f, "%llu %llu", &size, &resident) != 2) resident = 0;
  fclose(f);
  return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void must(pirn_status status, const char *what) {
  if (status == PIRN_OK) return;
  fprintf(stderr, "%s: %s: %s\n", what, pirn_status_string(status), pirn_last_error());
  exit(1);
}

void *must_map(size_t bytes, int shared) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) return memory;
  perror("mmap");
  exit(1);
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

double percentile_us(uint64_t *samples, size_t count, unsigned percent) {
  qsort(samples, count, sizeof *samples, compare);
  return count ? (double)samples[(count - 1) * percent / 100] * 1e-3 : 0;
}

pirn_endpoint *open_endpoint(pirn_context **context, const char *provider, uint32_t progress) {
  pirn_endpoint_params params;
  pirn_endpoint *endpoint;
  memset(&params, 0, sizeof params);
  params.struct_size = sizeof params;
  params.provider = provider;
  params.progress = progress;
  // What is measured is the fabric, although both ends may be in one process.
  if (!*context) {
    const char *settings[] = {"PATH=fabric"};
    pirn_context_params fabric_only;
    memset(&fabric_only, 0, sizeof fabric_only);
    fabric_only.struct_size = sizeof fabric_only;
    fabric_only.settings = settings;
    fabric_only.settings_count = 1;
    must(pirn_context_open(&fabric_only, context), "opening a context");
  }
  must(pirn_endpoint_open(*context, &params, &endpoint), "opening an endpoint");
  return endpoint;
}

pirn_region *share(pirn_endpoint *endpoint, void *memory, uint64_t length, struct blob *blob) {
  pirn_region *region;
  uint64_t window;
  must(pirn_region_register(endpoint, memory, length, NULL, &region), "registering");
  blob->length = sizeof blob->bytes;
  must(pirn_region_advertise(region, 0, length, PIRN_ACCESS_READ | PIRN_ACCESS_WRITE, blob->bytes, &blob->length,
                             &window),
       "advertising");
  return region;
}

pid_t fork_child(void) {
  pid_t parent = getpid(), child = fork();
  if (child < 0) {
    perror("fork");
    exit(1);
  }
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
  }
  return child;
}

void await(const int *flag, int value, pirn_endpoint *const *endpoints, size_t count, unsigned pause_us) {
  uint64_t limit = now_ns() + GIVE_UP_NS;
  size_t i;
  while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) < value) {
    for (i = 0; i < count; i++) must(pirn_endpoint_progress(endpoints[i], NULL), "progress");
    if (pause_us) usleep(pause_us);
    if (now_ns() > limit) {
      fprintf(stderr, "the other side did not answer within a minute\n");
      exit(1);
    }
  }
}
