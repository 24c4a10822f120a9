/* SPDX-License-Identifier: Apache-2.0 */
/* peers: many peers on one endpoint. One server, clients in a few processes, all with manual progress, so that
 * no thread of pirn's own blurs the figures. The first and the last peer live in processes of their own. */
#include "perf.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PEERS 20000
#define LATENCY_WRITES 5000
#define IDLE_PAUSE_US 2000

enum phase { CONNECT_FIRST = 1, CONNECT_MANY, CONNECT_LAST, MEASURE_FIRST, MEASURE_LAST, STOP };

/* Shared by all processes. */
struct board {
  int phase, connected;
  char address[256];
  struct blob server_window, first_window, last_window;
  uint64_t first_byte_ns[MAX_PEERS];
};

struct options {
  const char *provider;
  int peers, processes, csv;
};

struct client {
  pirn_endpoint *endpoint;
  pirn_peer *peer;
  pirn_region *region;
  pirn_window *window;
};

/* Opens, connects and writes the first bytes; the sample is the whole of it. */
static void bring_up(struct client *c, pirn_context **context, const struct options *o, struct board *b, int index,
                     unsigned char *memory, struct blob *shared) {
  uint64_t start = now_ns();
  c->endpoint = open_endpoint(context, o->provider, PIRN_PROGRESS_MANUAL);
  must(pirn_peer_connect(c->endpoint, b->address, 0, &c->peer), "connecting");
  if (shared)
    c->region = share(c->endpoint, memory, 64, shared);
  else
    must(pirn_region_register(c->endpoint, memory, 64, NULL, &c->region), "registering");
  must(pirn_window_import(c->peer, b->server_window.bytes, b->server_window.length, &c->window), "importing");
  must(pirn_write(c->region, 0, c->window, 0, 8, NULL, NULL), "writing the first bytes");
  b->first_byte_ns[index] = now_ns() - start;
  __atomic_add_fetch(&b->connected, 1, __ATOMIC_RELEASE);
}

/* A process with one peer that is written to. */
static void lone_client(const struct options *o, struct board *b, int index, enum phase join, enum phase measured,
                        struct blob *window) {
  struct client c;
  pirn_context *context = NULL;
  unsigned char *memory = must_map(4096, 0);
  memset(&c, 0, sizeof c);
  await(&b->phase, join, NULL, 0, 200);
  bring_up(&c, &context, o, b, index, memory, window);
  await(&b->phase, measured, &c.endpoint, 1, IDLE_PAUSE_US);
  await(&b->phase, measured + 1, &c.endpoint, 1, 0);
  await(&b->phase, STOP, &c.endpoint, 1, IDLE_PAUSE_US);
  must(pirn_endpoint_close(c.endpoint), "closing");
  _exit(0);
}

static void crowd(const struct options *o, struct board *b, int first, int count) {
  struct client *clients = calloc((size_t)count + 1, sizeof *clients);
  pirn_endpoint **endpoints = calloc((size_t)count + 1, sizeof *endpoints);
  pirn_context *context = NULL;
  unsigned char *memory = must_map(4096, 0);
  int i;
  if (!clients || !endpoints) _exit(1);
  await(&b->phase, CONNECT_MANY, NULL, 0, 200);
  for (i = 0; i < count; i++) {
    bring_up(&clients[i], &context, o, b, first + i, memory, NULL);
    endpoints[i] = clients[i].endpoint;
  }
  await(&b->phase, STOP, endpoints, (size_t)count, 10 * IDLE_PAUSE_US);
  for (i = 0; i < count; i++) must(pirn_endpoint_close(endpoints[i]), "closing");
  _exit(0);
}

static void start_clients(const struct options *o, struct board *b, pid_t *children) {
  int k, others = o->peers - 2, next = 1;
  if ((children[0] = fork_child()) == 0) lone_client(o, b, 0, CONNECT_FIRST, MEASURE_FIRST, &b->first_window);
  for (k = 0; k < o->processes; k++) {
    int count = others / o->processes + (k < others % o->processes);
    if ((children[1 + k] = fork_child()) == 0) crowd(o, b, next, count);
    next += count;
  }
  if ((children[1 + k] = fork_child()) == 0)
    lone_client(o, b, o->peers - 1, CONNECT_LAST, MEASURE_LAST, &b->last_window);
}

struct server {
  pirn_endpoint *endpoint;
  pirn_region *region;
  pirn_peer *peers[MAX_PEERS];
  int accepted;
};

static void on_accept(void *arg, pirn_peer *peer) {
  struct server *s = arg;
  if (s->accepted < MAX_PEERS) s->peers[s->accepted++] = peer;
}

static void enter(struct board *b, enum phase phase) { __atomic_store_n(&b->phase, phase, __ATOMIC_RELEASE); }

static double join(struct server *s, struct board *b, enum phase phase, int total) {
  uint64_t start = now_ns();
  enter(b, phase);
  await(&b->connected, total, &s->endpoint, 1, 0);
  return (double)(now_ns() - start) * 1e-9;
}

static double write_latency(struct server *s, struct board *b, enum phase phase, pirn_peer *peer, const struct blob *w) {
  static uint64_t samples[LATENCY_WRITES];
  pirn_window *window;
  int i;
  enter(b, phase);
  must(pirn_window_import(peer, w->bytes, w->length, &window), "importing a client's window");
  for (i = -100; i < LATENCY_WRITES; i++) {
    uint64_t start = now_ns();
    must(pirn_write(s->region, 0, window, 0, 8, NULL, NULL), "writing to a client");
    if (i >= 0) samples[i] = now_ns() - start;
  }
  must(pirn_window_close(window), "closing a window");
  return percentile_us(samples, LATENCY_WRITES, 50);
}

static void report(const struct options *o, double seconds, const uint64_t resident[3], double p50, double p99,
                   double first, double last) {
  double per_peer = (double)(resident[2] - resident[0]) / o->peers;
  double per_further = (double)(int64_t)(resident[2] - resident[1]) / (o->peers - 1);
  printf("peers,processes,connect_total_s,first_byte_p50_us,first_byte_p99_us,rss_per_peer_bytes,"
         "write_first_peer_us,write_last_peer_us,rss_per_further_peer_bytes\n%d,%d,%.3f,%.1f,%.1f,%.0f,%.2f,%.2f,%.0f\n",
         o->peers, o->processes, seconds, p50, p99, per_peer, first, last, per_further);
  if (!o->csv)
    printf("%d peers on one endpoint in %.2f s; first byte after %.2f ms (p50), %.2f ms (p99); %.1f KiB a peer,\n"
           "%.1f KiB a further one; 8 B write to the first peer %.2f us, to the last %.2f us\n",
           o->peers, seconds, p50 * 1e-3, p99 * 1e-3, per_peer / 1024, per_further / 1024,
           first, last);
}

static int run(const struct options *o) {
  static struct server s;
  struct board *b = must_map(sizeof *b, 1);
  pid_t *children = calloc((size_t)o->processes + 2, sizeof *children);
  pirn_context *context = NULL;
  size_t length = sizeof b->address;
  double seconds, first, last, p50;
  uint64_t resident[3]; /* before, with one peer, with all */
  int i, status, failed = 0;
  if (!children) return 1;
  start_clients(o, b, children);
  s.endpoint = open_endpoint(&context, o->provider, PIRN_PROGRESS_MANUAL);
  s.region = share(s.endpoint, must_map(4096, 0), 4096, &b->server_window);
  must(pirn_endpoint_listen(s.endpoint, "127.0.0.1:0"), "listening");
  must(pirn_endpoint_address(s.endpoint, b->address, &length), "address");
  must(pirn_endpoint_accept_start(s.endpoint, on_accept, &s), "accepting");
  resident[0] = resident_bytes();
  seconds = join(&s, b, CONNECT_FIRST, 1);
  resident[1] = resident_bytes();
  seconds += join(&s, b, CONNECT_MANY, o->peers - 1);
  seconds += join(&s, b, CONNECT_LAST, o->peers);
  resident[2] = resident_bytes();
  first = write_latency(&s, b, MEASURE_FIRST, s.peers[0], &b->first_window);
  last = write_latency(&s, b, MEASURE_LAST, s.peers[s.accepted - 1], &b->last_window);
  enter(b, STOP);
  for (i = 0; i < o->processes + 2; i++) {
    while (waitpid(children[i], &status, WNOHANG) == 0) must(pirn_endpoint_progress(s.endpoint, NULL), "progress");
    failed |= status != 0;
  }
  p50 = percentile_us(b->first_byte_ns, (size_t)o->peers, 50);
  report(o, seconds, resident, p50, percentile_us(b->first_byte_ns, (size_t)o->peers, 99), first, last);
  must(pirn_endpoint_close(s.endpoint), "closing");
  must(pirn_context_close(context), "closing the context");
  if (s.accepted != o->peers) fprintf(stderr, "%d peers connected, %d were accepted\n", o->peers, s.accepted);
  return failed || s.accepted != o->peers;
}

int main(int argc, char **argv) {
  static const struct option names[] = {
      {"peers", 1, 0, 'n'}, {"processes", 1, 0, 'k'}, {"provider", 1, 0, 'p'}, {"csv", 0, 0, 'c'}, {NULL, 0, NULL, 0}};
  struct options o = {"tcp", 1000, 4, 0};
  setenv("PIRN_PATH", "fabric", 0); /* what is measured is the fabric, although nearer paths are there on one machine */
  int c;
  while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
    switch (c) {
      case 'n': o.peers = atoi(optarg); break;
      case 'k': o.processes = atoi(optarg); break;
      case 'p': o.provider = optarg; break;
      case 'c': o.csv = 1; break;
      default: o.peers = 0;
    }
  }
  if (o.peers < 3 || o.peers > MAX_PEERS || o.processes < 1 || o.processes > 64) {
    fprintf(stderr, "usage: peers [--peers 3..%d] [--processes 1..64] [--provider tcp] [--csv]\n", MAX_PEERS);
    return 2;
  }
  return run(&o);
}
