/* SPDX-License-Identifier: Apache-2.0 */
/* registrations: time and memory of many registrations, and of a long prepared list. */
#include "perf.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define ROUNDS 5
#define CHOSEN 1000u
#define STRIDE 2u /* elements with gaps between them: neighbours could be joined into one message */

struct options {
  const char *provider;
  uint64_t count, size;
};

/* Shared with the process that lends the window. */
struct board {
  int ready, stop;
  char address[256];
  struct blob window;
};

static void row(const char *what, uint64_t count, double seconds, double bytes_each) {
  printf("%s,%llu,%.4f,%.1f,%.1f\n", what, (unsigned long long)count, seconds, seconds / (double)count * 1e9, bytes_each);
  fprintf(stderr, "%-28s %8llu in %8.3f s: %8.1f ns each, %6.1f B each\n", what, (unsigned long long)count, seconds,
          seconds / (double)count * 1e9, bytes_each);
}

static double since(uint64_t start) { return (double)(now_ns() - start) * 1e-9; }

static double grown_each(uint64_t before, uint64_t count) {
  uint64_t now = resident_bytes();
  return now > before ? (double)(now - before) / (double)count : 0;
}

static void lend(const struct options *o, struct board *b) {
  pirn_context *context = NULL;
  pirn_endpoint *endpoint = open_endpoint(&context, o->provider, PIRN_PROGRESS_SPIN);
  uint64_t length = o->count * o->size * STRIDE;
  size_t room = sizeof b->address;
  share(endpoint, must_map(length, 0), length, &b->window);
  must(pirn_endpoint_listen(endpoint, "127.0.0.1:0"), "listening");
  must(pirn_endpoint_address(endpoint, b->address, &room), "address");
  must(pirn_endpoint_accept_start(endpoint, NULL, NULL), "accepting");
  __atomic_store_n(&b->ready, 1, __ATOMIC_RELEASE);
  await(&b->stop, 1, NULL, 0, 1000);
  must(pirn_endpoint_close(endpoint), "closing");
  _exit(0);
}

static void register_all(pirn_endpoint *endpoint, const struct options *o) {
  pirn_region **regions = calloc(o->count, sizeof *regions);
  pirn_memory *ranges = calloc(o->count, sizeof *ranges);
  unsigned char *memory = must_map(o->count * PAGE, 0);
  uint64_t i, start, before;
  if (!regions || !ranges) exit(1);
  memset(regions, 0, o->count * sizeof *regions);
  for (i = 0; i < o->count; i++) ranges[i].address = memory + i * PAGE, ranges[i].length = PAGE;
  before = resident_bytes();
  start = now_ns();
  for (i = 0; i < o->count; i++)
    must(pirn_region_register(endpoint, ranges[i].address, PAGE, NULL, &regions[i]), "registering");
  row("register", o->count, since(start), grown_each(before, o->count));
  start = now_ns();
  for (i = 0; i < o->count; i++) must(pirn_region_deregister(regions[i]), "deregistering");
  row("deregister", o->count, since(start), 0);
  start = now_ns();
  must(pirn_region_register_many(endpoint, ranges, o->count, NULL, regions), "registering many");
  row("register_many", o->count, since(start), 0);
  for (i = 0; i < o->count; i++) must(pirn_region_deregister(regions[i]), "deregistering");
  free(regions);
  free(ranges);
}

static pirn_prepared *prepare(const struct options *o, pirn_region *region, pirn_window *window) {
  pirn_segment *segments = calloc(o->count, sizeof *segments);
  pirn_prepared *prepared;
  uint64_t i, start, before;
  if (!segments) exit(1);
  for (i = 0; i < o->count; i++) {
    pirn_segment s = {region, i * o->size * STRIDE, window, i * o->size * STRIDE, o->size};
    segments[i] = s;
  }
  before = resident_bytes();
  start = now_ns();
  must(pirn_transfer_prepare(PIRN_WRITE, segments, o->count, &prepared), "preparing");
  row("prepare", o->count, since(start), grown_each(before, o->count));
  free(segments);
  return prepared;
}

/* Posts (all elements, or those of index) and waits; median of the rounds, for the call alone and to completion. */
static void post(pirn_endpoint *endpoint, pirn_prepared *prepared, const uint32_t *index, uint64_t count,
                 const char *call_name, const char *done_name) {
  uint64_t calls[ROUNDS], whole[ROUNDS];
  pirn_transfer transfer;
  int r;
  for (r = 0; r < ROUNDS; r++) {
    uint64_t start = now_ns();
    must(index ? pirn_prepared_post_select(prepared, index, NULL, count, NULL, &transfer)
               : pirn_prepared_post(prepared, NULL, &transfer),
         "posting");
    calls[r] = now_ns() - start;
    must(pirn_transfer_wait(endpoint, transfer, 0, NULL), "waiting");
    whole[r] = now_ns() - start;
    must(pirn_transfer_release(endpoint, transfer), "releasing");
  }
  row(call_name, count, percentile_us(calls, ROUNDS, 50) * 1e-6, 0);
  row(done_name, count, percentile_us(whole, ROUNDS, 50) * 1e-6, 0);
}

static void use_list(pirn_endpoint *endpoint, const struct options *o, const struct board *b) {
  uint32_t chosen[CHOSEN];
  pirn_region *region;
  pirn_window *window;
  pirn_peer *peer;
  pirn_prepared *prepared;
  uint64_t length = o->count * o->size * STRIDE, i;
  must(pirn_peer_connect(endpoint, b->address, 0, &peer), "connecting");
  must(pirn_region_register(endpoint, must_map(length, 0), length, NULL, &region), "registering");
  must(pirn_window_import(peer, b->window.bytes, b->window.length, &window), "importing");
  prepared = prepare(o, region, window);
  post(endpoint, prepared, NULL, o->count, "post: call", "post: to completion");
  srand(1);
  for (i = 0; i < CHOSEN; i++) chosen[i] = (uint32_t)((uint64_t)rand() % o->count);
  post(endpoint, prepared, chosen, CHOSEN, "post_select: call", "post_select: to completion");
  must(pirn_prepared_release(prepared), "releasing the list");
}

static int run(const struct options *o) {
  struct board *b = must_map(sizeof *b, 1);
  pirn_context *context = NULL;
  pirn_endpoint *endpoint;
  pid_t child = fork_child();
  int status = 0;
  if (child == 0) lend(o, b);
  await(&b->ready, 1, NULL, 0, 1000);
  endpoint = open_endpoint(&context, o->provider, PIRN_PROGRESS_MANUAL);
  printf("what,count,seconds,ns_each,rss_bytes_each\n");
  register_all(endpoint, o);
  use_list(endpoint, o, b);
  must(pirn_endpoint_close(endpoint), "closing");
  must(pirn_context_close(context), "closing the context");
  __atomic_store_n(&b->stop, 1, __ATOMIC_RELEASE);
  waitpid(child, &status, 0);
  return status != 0;
}

int main(int argc, char **argv) {
  static const struct option names[] = {
      {"count", 1, 0, 'n'}, {"size", 1, 0, 's'}, {"provider", 1, 0, 'p'}, {NULL, 0, NULL, 0}};
  struct options o = {"tcp", 100000, 64};
  int c;
  while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
    switch (c) {
      case 'n': o.count = strtoull(optarg, NULL, 10); break;
      case 's': o.size = strtoull(optarg, NULL, 10); break;
      case 'p': o.provider = optarg; break;
      default: o.count = 0;
    }
  }
  if (o.count < 1 || o.count > PIRN_VECTOR_MAX || o.size < 1 || o.size > 65536) {
    fprintf(stderr, "usage: registrations [--count 1..%u] [--size 1..65536] [--provider tcp]\n", PIRN_VECTOR_MAX);
    return 2;
  }
  return run(&o);
}
