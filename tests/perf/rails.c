/* SPDX-License-Identifier: Apache-2.0 */
/* rails: one case of several NICs between two processes; the script of the same name runs them all. The NICs are what the
 * environment says (../sim/fabric/README.md). The target's memory is shared with the initiator, which clears it before
 * each run and compares every byte afterwards.
 *
 *   stream   transfers of one size, `window` at a time: rate, CPU time, bytes per rail
 *   latency  single writes of one size, idle and, with --beside, while a large write is under way
 *   pauses   a stream in which a NIC fails: the longest time without a completion, and the slowest transfer
 *   memory   resident memory that an endpoint, a peer and a registration cost */
#include "perf.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES 200000
#define MAX_WINDOW 64
#define BESIDE_PAUSE_NS 5000000

/* Shared by both processes. */
struct board {
  int ready, stop;
  char address[256];
  struct blob window;
};

struct options {
  const char *provider, *fault, *fault_at;
  uint64_t size, beside, count;
  uint32_t progress;
  int window, runs, reads;
};

struct side {
  struct board *board;
  pid_t target_process;
  unsigned char *own, *remote, *pattern; /* the initiator's memory, the target's, and what is moved */
  uint64_t length;
  pirn_context *context;
  pirn_endpoint *endpoint;
  pirn_peer *peer;
  pirn_region *region;
  pirn_window *window;
};

static uint64_t samples[MAX_SAMPLES];

static void give_up(const char *what) {
  fprintf(stderr, "rails: %s\n", what);
  exit(1);
}

static void fill(unsigned char *bytes, uint64_t length) {
  uint64_t x = now_ns() | 1, i;
  for (i = 0; i < length / 8; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    memcpy(bytes + 8 * i, &x, 8);
  }
}

/* A fault of one side's NICs, "DIE=3:200". */
static void set_fault(const struct options *o, const char *side) {
  char name[64] = "PIRN_SIM_";
  const char *equals = o->fault ? strchr(o->fault, '=') : NULL;
  if (!equals || strcmp(o->fault_at, side) != 0) return;
  strncat(name, o->fault, (size_t)(equals - o->fault) < 40 ? (size_t)(equals - o->fault) : 40);
  setenv(name, equals + 1, 1);
}

static void target(const struct options *o, const struct side *s) {
  pirn_context *context = NULL;
  pirn_endpoint *endpoint;
  size_t length = sizeof s->board->address;
  int manual = o->progress == PIRN_PROGRESS_MANUAL;
  set_fault(o, "target");
  endpoint = open_endpoint(&context, o->provider, o->progress);
  share(endpoint, s->remote, s->length, &s->board->window);
  must(pirn_endpoint_listen(endpoint, "127.0.0.1:0"), "listening");
  must(pirn_endpoint_address(endpoint, s->board->address, &length), "address");
  must(pirn_endpoint_accept_start(endpoint, NULL, NULL), "accepting");
  __atomic_store_n(&s->board->ready, 1, __ATOMIC_RELEASE);
  await(&s->board->stop, 1, &endpoint, manual ? 1 : 0, manual ? 0 : 500);
  must(pirn_endpoint_close(endpoint), "closing");
  must(pirn_context_close(context), "closing the context");
  _exit(0);
}

static void start_target(const struct options *o, struct side *s, uint64_t length) {
  memset(s, 0, sizeof *s);
  s->board = must_map(sizeof *s->board, 1);
  s->length = length;
  s->remote = must_map(length, 1);
  s->target_process = fork_child();
  if (s->target_process == 0) target(o, s);
  set_fault(o, "initiator");
  await(&s->board->ready, 1, NULL, 0, 200);
}

static void join(const struct options *o, struct side *s) {
  s->endpoint = open_endpoint(&s->context, o->provider, o->progress);
  must(pirn_peer_connect(s->endpoint, s->board->address, 0, &s->peer), "connecting");
}

static void register_all(struct side *s) {
  must(pirn_region_register(s->endpoint, s->own, s->length, NULL, &s->region), "registering");
  must(pirn_window_import(s->peer, s->board->window.bytes, s->board->window.length, &s->window), "importing");
}

static void open_side(const struct options *o, struct side *s, uint64_t length) {
  start_target(o, s, length);
  s->own = must_map(length, 0);
  s->pattern = must_map(length, 0);
  fill(s->pattern, length);
  memcpy(s->own, s->pattern, length);
  join(o, s);
  register_all(s);
}

static void close_side(struct side *s) {
  int status;
  must(pirn_endpoint_close(s->endpoint), "closing");
  must(pirn_context_close(s->context), "closing the context");
  __atomic_store_n(&s->board->stop, 1, __ATOMIC_RELEASE);
  if (waitpid(s->target_process, &status, 0) < 0 || status != 0) give_up("the target failed");
}

/* Sets the stage of a run: the pattern at the source, zeros where it goes. */
static void clear(const struct options *o, struct side *s) {
  memcpy(o->reads ? s->remote : s->own, s->pattern, s->length);
  memset(o->reads ? s->own : s->remote, 0, s->length);
}

static void check(const struct options *o, const struct side *s, uint64_t offset, uint64_t length) {
  const unsigned char *arrived = o->reads ? s->own : s->remote;
  if (memcmp(arrived + offset, s->pattern + offset, length) != 0) give_up("bytes differ");
}

static pirn_transfer post(const struct options *o, struct side *s, uint64_t offset, uint64_t length) {
  pirn_transfer id = 0;
  pirn_status status = o->reads ? pirn_read(s->region, offset, s->window, offset, length, NULL, &id)
                                : pirn_write(s->region, offset, s->window, offset, length, NULL, &id);
  must(status, "posting");
  return id;
}

static void finish(struct side *s, pirn_transfer id) {
  pirn_status status;
  while ((status = pirn_transfer_wait(s->endpoint, id, 0, NULL)) == PIRN_IN_PROGRESS) continue;
  must(status, "a transfer");
  must(pirn_transfer_release(s->endpoint, id), "releasing");
}

static double cpu_seconds(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t) != 0) give_up("no clock");
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* "rail_bytes A B C ...", from the words of pirn_peer_explain. */
static void print_balance(struct side *s) {
  static char text[65536];
  size_t length = sizeof text;
  char *line;
  must(pirn_peer_explain(s->peer, text, &length), "explaining");
  printf("rail_bytes");
  for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    const char *moved = strstr(line, ", moved ");
    if (moved) printf(" %llu", strtoull(moved + strlen(", moved "), NULL, 10));
  }
  printf("\n");
}

/* Moves all transfers once and returns the seconds that it took; notes when each began and ended, if asked to. */
static double stream_once(const struct options *o, struct side *s, uint64_t *began, uint64_t *ended) {
  pirn_transfer ids[MAX_WINDOW];
  uint64_t next = 0, oldest = 0, start;
  start = now_ns();
  while (oldest < o->count) {
    if (next < o->count && next - oldest < (uint64_t)o->window) {
      if (began) began[next] = now_ns();
      ids[next % MAX_WINDOW] = post(o, s, next * o->size % s->length, o->size);
      next++;
      continue;
    }
    finish(s, ids[oldest % MAX_WINDOW]);
    if (ended) ended[oldest] = now_ns();
    oldest++;
  }
  return (double)(now_ns() - start) * 1e-9;
}

/* Room for all transfers of a run side by side, as far as that is sensible. */
static uint64_t stream_memory(const struct options *o) {
  uint64_t slots = o->count, most = 1ull << 30;
  if (slots * o->size > most) slots = most / o->size;
  return slots < (uint64_t)o->window ? (uint64_t)o->window * o->size : slots * o->size;
}

static void stream(const struct options *o) {
  struct side s;
  clockid_t target_clock;
  int run;
  open_side(o, &s, stream_memory(o));
  if (clock_getcpuclockid(s.target_process, &target_clock) != 0) give_up("no clock of the target");
  finish(&s, post(o, &s, 0, o->size));
  for (run = 0; run < o->runs; run++) {
    double own, other, seconds;
    clear(o, &s);
    own = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    other = cpu_seconds(target_clock);
    seconds = stream_once(o, &s, NULL, NULL);
    own = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - own;
    other = cpu_seconds(target_clock) - other;
    check(o, &s, 0, o->count * o->size < s.length ? o->count * o->size : s.length);
    printf("run %.0f bytes_per_s %.4f own_cpu_s_per_gib %.4f target_cpu_s_per_gib\n",
           (double)(o->count * o->size) / seconds, own * (1 << 30) / (double)(o->count * o->size),
           other * (1 << 30) / (double)(o->count * o->size));
  }
  print_balance(&s);
  close_side(&s);
}

/* Single transfers, `count` of them or until the large one is done. Returns how many. */
static size_t ping(const struct options *o, struct side *s, uint64_t base, pirn_transfer large) {
  uint64_t slots = (s->length - base) / o->size;
  size_t n;
  for (n = 0; n < (large ? MAX_SAMPLES : o->count); n++) {
    uint64_t start = now_ns(), offset = base + n % slots * o->size;
    pirn_status status = o->reads ? pirn_read(s->region, offset, s->window, offset, o->size, NULL, NULL)
                                  : pirn_write(s->region, offset, s->window, offset, o->size, NULL, NULL);
    must(status, "a small transfer");
    samples[n] = now_ns() - start;
    /* One at a time, evenly over the life of the large one. */
    if (large && pirn_transfer_wait(s->endpoint, large, BESIDE_PAUSE_NS, NULL) != PIRN_IN_PROGRESS) break;
  }
  return n;
}

static void latency(const struct options *o) {
  struct side s;
  uint64_t tail = o->size * 4096;
  int run;
  open_side(o, &s, o->beside + tail);
  ping(o, &s, o->beside, 0);
  for (run = 0; run < o->runs; run++) {
    pirn_transfer large = 0;
    uint64_t start;
    double seconds = 0;
    size_t n;
    clear(o, &s);
    start = now_ns();
    if (o->beside) large = post(o, &s, 0, o->beside);
    n = ping(o, &s, o->beside, large);
    if (large) {
      finish(&s, large);
      seconds = (double)(now_ns() - start) * 1e-9;
      check(o, &s, 0, o->beside);
    }
    check(o, &s, o->beside, (n < 4096 ? n : 4096) * o->size);
    printf("run %.2f p50_us", percentile_us(samples, n, 50));
    printf(" %.2f p99_us %.2f max_us %zu samples %.0f beside_bytes_per_s\n", percentile_us(samples, n, 99),
           percentile_us(samples, n, 100), n, seconds > 0 ? (double)o->beside / seconds : 0);
  }
  close_side(&s);
}

static void pauses(const struct options *o) {
  struct side s;
  uint64_t *began = calloc(o->count, 8), *ended = calloc(o->count, 8), i, slow = 0, gap = 0;
  double seconds, median;
  if (!began || !ended || o->count > MAX_SAMPLES) give_up("too many transfers");
  open_side(o, &s, stream_memory(o));
  clear(o, &s);
  seconds = stream_once(o, &s, began, ended);
  check(o, &s, 0, o->count * o->size < s.length ? o->count * o->size : s.length);
  for (i = 0; i < o->count; i++) samples[i] = ended[i] - began[i];
  median = percentile_us(samples, o->count, 50);
  for (i = 0; i < o->count; i++) slow += (double)samples[i] * 1e-3 > 5 * median;
  for (i = 1; i < o->count; i++)
    if (ended[i] - ended[i - 1] > gap) gap = ended[i] - ended[i - 1];
  printf("run %.0f bytes_per_s %.3f median_ms %.3f slowest_ms %.3f longest_pause_ms %llu slow\n",
         (double)(o->count * o->size) / seconds, median * 1e-3, percentile_us(samples, o->count, 100) * 1e-3,
         (double)gap * 1e-6, (unsigned long long)slow);
  print_balance(&s);
  close_side(&s);
  free(began);
  free(ended);
}

static void memory(const struct options *o) {
  struct side s;
  uint64_t before, opened, joined, registered;
  start_target(o, &s, o->size);
  s.own = must_map(o->size, 0);
  memset(s.own, 1, o->size);
  must(pirn_context_open(NULL, &s.context), "opening a context");
  { /* Discovery, and what libraries do once. */
    pirn_endpoint *first = open_endpoint(&s.context, o->provider, o->progress);
    must(pirn_endpoint_close(first), "closing");
  }
  before = resident_bytes();
  s.endpoint = open_endpoint(&s.context, o->provider, o->progress);
  opened = resident_bytes();
  must(pirn_peer_connect(s.endpoint, s.board->address, 0, &s.peer), "connecting");
  joined = resident_bytes();
  register_all(&s);
  registered = resident_bytes();
  printf("run %lld endpoint_bytes %lld peer_bytes %lld registration_bytes\n", (long long)(opened - before),
         (long long)(joined - opened), (long long)(registered - joined));
  close_side(&s);
}

static uint64_t parse_size(const char *text) {
  char *end;
  uint64_t value = strtoull(text, &end, 10);
  return *end == 'K' ? value << 10 : *end == 'M' ? value << 20 : *end == 'G' ? value << 30 : value;
}

static uint32_t parse_progress(const char *text) {
  return strcmp(text, "manual") == 0 ? PIRN_PROGRESS_MANUAL
         : strcmp(text, "spin") == 0 ? PIRN_PROGRESS_SPIN
                                     : PIRN_PROGRESS_DEFAULT;
}

int main(int argc, char **argv) {
  static const struct option names[] = {{"provider", 1, 0, 'p'}, {"size", 1, 0, 's'},     {"count", 1, 0, 'n'},
                                        {"window", 1, 0, 'w'},   {"runs", 1, 0, 'r'},     {"read", 0, 0, 'd'},
                                        {"beside", 1, 0, 'b'},   {"progress", 1, 0, 'g'}, {"fault", 1, 0, 'f'},
                                        {"fault-at", 1, 0, 'a'}, {NULL, 0, NULL, 0}};
  static const struct {
    const char *name;
    void (*run)(const struct options *);
  } cases[] = {{"stream", stream}, {"latency", latency}, {"pauses", pauses}, {"memory", memory}};
  struct options o = {"cxi", NULL, "initiator", 1 << 20, 0, 1, PIRN_PROGRESS_DEFAULT, 1, 1, 0};
  size_t i;
  int c;
  while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
    switch (c) {
      case 'p': o.provider = optarg; break;
      case 's': o.size = parse_size(optarg); break;
      case 'n': o.count = parse_size(optarg); break;
      case 'w': o.window = atoi(optarg); break;
      case 'r': o.runs = atoi(optarg); break;
      case 'd': o.reads = 1; break;
      case 'b': o.beside = parse_size(optarg); break;
      case 'g': o.progress = parse_progress(optarg); break;
      case 'f': o.fault = optarg; break;
      case 'a': o.fault_at = optarg; break;
      default: return 2;
    }
  }
  for (i = 0; optind < argc && i < sizeof cases / sizeof *cases; i++) {
    if (strcmp(argv[optind], cases[i].name) != 0 || o.window < 1 || o.window > MAX_WINDOW || !o.size || !o.count ||
        o.count > MAX_SAMPLES)
      continue;
    cases[i].run(&o);
    return 0;
  }
  fprintf(stderr, "usage: rails stream|latency|pauses|memory [--provider cxi] [--size 1M] [--count 1] [--window 1..%d]\n"
                  "  [--runs 1] [--read] [--beside 1G] [--progress default|spin|manual] [--fault DIE=3:200]\n"
                  "  [--fault-at initiator|target]\n", MAX_WINDOW);
  return 2;
}
