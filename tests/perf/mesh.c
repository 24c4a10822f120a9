/* SPDX-License-Identifier: Apache-2.0 */
/* mesh: everyone to everyone. One process a memory; each keeps a window of transfers in flight to every other one.
 * Three phases, each with bytes of its own, which are compared at the target when it is over: a warm-up, then 0 -> 1
 * alone, then all at once, or with --initiators 1 one to all others. Areas are set and looked at by path "self", through
 * endpoints that nothing else uses. */
#include "perf.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RANKS 16
#define MAX_WINDOW 64
#define MAX_SIZE (4ull << 30)
#define AREA_LIMIT (256ull << 20) /* transfers of one pair go to as many places as fit */
#define PIECE (8ull << 20)
#define PATIENCE_NS 30000000000ull
#define HEAD_START_NS 20000000ull

enum phase { WARM_UP, ALONE, ALL, PHASES };

/* Shared by all processes. */
struct board {
  int arrived;
  uint64_t seed, start;
  struct blob metadata[MAX_RANKS], window[MAX_RANKS];
  uint64_t bytes[PHASES][MAX_RANKS][MAX_RANKS]; /* from, to */
  char path[MAX_RANKS][16];
};

struct options {
  char memory[MAX_RANKS][32];
  int ranks, initiators, window, reads, csv;
  uint32_t progress;
  uint64_t size;
  double seconds;
  const char *path, *provider;
};

/* A host copy of a piece of the areas. */
struct mirror {
  pirn_endpoint *owner, *visitor;
  pirn_peer *peer;
  pirn_region *region;
  pirn_window *outgoing, *incoming;
  unsigned char *bytes, *expected;
};

struct rank {
  const struct options *o;
  struct board *board;
  int number, barriers;
  uint64_t places, area; /* of one pair: how many transfers lie side by side, and its bytes */
  void *outgoing, *incoming;
  pirn_context *context;
  pirn_endpoint *endpoint;
  pirn_region *region; /* the end of transfers that is here */
  pirn_peer *peers[MAX_RANKS];
  pirn_window *windows[MAX_RANKS];
  uint64_t posted[MAX_RANKS];
  struct mirror mirror;
};

static void give_up(const char *what) {
  fprintf(stderr, "mesh: %s\n", what);
  exit(1);
}

static pirn_endpoint *open_for(struct rank *r, const char *device, uint32_t progress) {
  pirn_endpoint_params params;
  pirn_endpoint *endpoint;
  memset(&params, 0, sizeof params);
  params.struct_size = sizeof params;
  params.device = device;
  params.provider = r->o->provider;
  params.progress = progress;
  must(pirn_endpoint_open(r->context, &params, &endpoint), "opening an endpoint");
  return endpoint;
}

static void publish(pirn_endpoint *endpoint, struct blob *blob) {
  blob->length = sizeof blob->bytes;
  must(pirn_endpoint_metadata(endpoint, blob->bytes, &blob->length), "asking for metadata");
}

static pirn_window *import_blob(pirn_peer *peer, const struct blob *blob) {
  pirn_window *window;
  must(pirn_window_import(peer, blob->bytes, blob->length, &window), "importing");
  return window;
}

static void barrier(struct rank *r) {
  int manual = r->o->progress == PIRN_PROGRESS_MANUAL;
  __atomic_add_fetch(&r->board->arrived, 1, __ATOMIC_ACQ_REL);
  await(&r->board->arrived, ++r->barriers * r->o->ranks, &r->endpoint, manual && r->endpoint ? 1 : 0, manual ? 0 : 200);
}

static void open_mirror(struct rank *r) {
  struct mirror *m = &r->mirror;
  struct blob blob;
  uint64_t piece = r->area < PIECE ? r->area : PIECE, whole = r->area * (uint64_t)r->o->ranks;
  m->owner = open_for(r, NULL, PIRN_PROGRESS_THREAD);
  m->visitor = open_for(r, NULL, PIRN_PROGRESS_THREAD);
  publish(m->owner, &blob);
  must(pirn_peer_add(m->visitor, blob.bytes, blob.length, &m->peer), "adding an endpoint of this process");
  must(pirn_peer_wait(m->peer, PATIENCE_NS), "waiting for an endpoint of this process");
  share(m->owner, r->outgoing, whole, &blob);
  m->outgoing = import_blob(m->peer, &blob);
  share(m->owner, r->incoming, whole, &blob);
  m->incoming = import_blob(m->peer, &blob);
  m->bytes = must_map(piece, 0);
  m->expected = must_map(piece, 0);
  must(pirn_region_register(m->visitor, m->bytes, piece, NULL, &m->region), "registering a copy");
}

static void open_rank(struct rank *r) {
  const char *name = r->o->memory[r->number], *device = strcmp(name, "host") == 0 ? NULL : name;
  uint64_t whole = r->area * (uint64_t)r->o->ranks;
  must(pirn_context_open(NULL, &r->context), "opening a context");
  must(pirn_memory_alloc(r->context, device, whole, &r->outgoing), "allocating the sources");
  must(pirn_memory_alloc(r->context, device, whole, &r->incoming), "allocating the targets");
  open_mirror(r);
  r->endpoint = open_for(r, device, r->o->progress);
  publish(r->endpoint, &r->board->metadata[r->number]);
  share(r->endpoint, r->o->reads ? r->outgoing : r->incoming, whole, &r->board->window[r->number]);
  must(pirn_region_register(r->endpoint, r->o->reads ? r->incoming : r->outgoing, whole, NULL, &r->region),
       "registering");
}

static void meet(struct rank *r) {
  int i;
  for (i = 0; i < r->o->ranks; i++) {
    const struct blob *metadata = &r->board->metadata[i];
    if (i == r->number) continue;
    must(pirn_peer_add(r->endpoint, metadata->bytes, metadata->length, &r->peers[i]), "adding a peer");
  }
  for (i = 0; i < r->o->ranks; i++) {
    if (i == r->number) continue;
    must(pirn_peer_wait(r->peers[i], PATIENCE_NS), "waiting for a peer");
    r->windows[i] = import_blob(r->peers[i], &r->board->window[i]);
  }
}

/* Bytes that no other pair, phase or place has; `offset` is a multiple of 8. */
static void make_pattern(unsigned char *bytes, uint64_t length, uint64_t seed, uint64_t offset) {
  uint64_t i, word;
  for (i = 0; i < length; i += 8) {
    word = (seed + offset + i) * 0x9E3779B97F4A7C15ull;
    word ^= word >> 29;
    word *= 0xBF58476D1CE4E5B9ull;
    word ^= word >> 32;
    memcpy(bytes + i, &word, length - i < 8 ? (size_t)(length - i) : 8);
  }
}

static uint64_t pair_seed(const struct rank *r, enum phase phase, int from, int to) {
  return r->board->seed + ((uint64_t)((phase * MAX_RANKS + from) * MAX_RANKS + to + 1) << 40);
}

static int initiated(const struct options *o, int from, int to) { return from != to && (o->reads ? to : from) < o->initiators; }

static int moves(const struct options *o, enum phase phase, int from, int to) {
  return phase == ALONE ? from == 0 && to == 1 : initiated(o, from, to);
}

static void wrong_bytes(const struct mirror *m, enum phase phase, int from, int to, uint64_t at) {
  uint64_t i = 0;
  while (m->bytes[i] == m->expected[i]) i++;
  fprintf(stderr, "mesh: from %d to %d, phase %d: byte %llu is 0x%02x, not 0x%02x\n", from, to, phase,
          (unsigned long long)(at + i), m->bytes[i], m->expected[i]);
  exit(1);
}

/* Sets what this rank gives to each other one (`check` 0), or compares what it got. */
static void go_through(struct rank *r, enum phase phase, int check) {
  struct mirror *m = &r->mirror;
  pirn_transfer_params params;
  uint64_t length, at, used = r->places * r->o->size;
  int i;
  memset(&params, 0, sizeof params);
  params.struct_size = sizeof params;
  params.timeout_ns = PATIENCE_NS;
  params.path = "self";
  for (i = 0; i < r->o->ranks; i++) {
    int from = check ? i : r->number, to = check ? r->number : i;
    if (!moves(r->o, phase, from, to)) continue;
    for (at = 0; at < used; at += length) {
      uint64_t offset = (uint64_t)i * r->area + at;
      length = used - at < PIECE ? used - at : PIECE;
      make_pattern(check ? m->expected : m->bytes, length, pair_seed(r, phase, from, to), at);
      if (!check) {
        must(pirn_write(m->region, 0, m->outgoing, offset, length, &params, NULL), "setting a source");
        continue;
      }
      memset(m->bytes, 0x5A, length);
      must(pirn_read(m->region, 0, m->incoming, offset, length, &params, NULL), "looking at a target");
      if (memcmp(m->bytes, m->expected, length) != 0) wrong_bytes(m, phase, from, to, at);
    }
  }
}

static void post(struct rank *r, int peer) {
  pirn_transfer_params params;
  pirn_transfer id;
  uint64_t place = r->posted[peer]++ % r->places * r->o->size;
  uint64_t here = (uint64_t)peer * r->area + place, there = (uint64_t)r->number * r->area + place;
  memset(&params, 0, sizeof params);
  params.struct_size = sizeof params;
  params.timeout_ns = PATIENCE_NS;
  params.user_data = (uint64_t)peer;
  params.flags = PIRN_TRANSFER_QUEUED;
  params.path = r->o->path;
  must(r->o->reads ? pirn_read(r->region, here, r->windows[peer], there, r->o->size, &params, &id)
                   : pirn_write(r->region, here, r->windows[peer], there, r->o->size, &params, &id),
       "posting");
}

static void fail_transfer(const struct rank *r, const pirn_result *result) {
  fprintf(stderr, "mesh: a transfer of %d with %d: %s: %s (rail %s)\n", r->number, (int)result->user_data,
          pirn_status_string(result->status), result->text, result->rail);
  exit(1);
}

/* Keeps the window full until `end`; counts what completes from `start` on. Each completion is followed by a post to the
 * same peer, so none of them is favoured. */
static void move_bytes(struct rank *r, enum phase phase, uint64_t start, uint64_t end) {
  pirn_result results[MAX_WINDOW];
  uint64_t count, i, in_flight = 0, now = now_ns(), limit = (end > now ? end : now) + 2 * PATIENCE_NS;
  int k, n, peer;
  for (n = 0; n < r->o->window; n++) {
    for (k = 1; k < r->o->ranks; k++) {
      peer = (r->number + k) % r->o->ranks;
      if (!moves(r->o, phase, r->o->reads ? peer : r->number, r->o->reads ? r->number : peer)) continue;
      post(r, peer);
      in_flight++;
    }
  }
  while (in_flight) {
    must(pirn_endpoint_poll(r->endpoint, PATIENCE_NS, results, sizeof *results, MAX_WINDOW, &count), "polling");
    now = now_ns();
    for (i = 0; i < count; i++) {
      if (results[i].status != PIRN_OK) fail_transfer(r, &results[i]);
      peer = (int)results[i].user_data;
      if (now >= start && now <= end)
        r->board->bytes[phase][r->o->reads ? peer : r->number][r->o->reads ? r->number : peer] += r->o->size;
      if (now < end) post(r, peer);
      else in_flight--;
    }
    if (count) memcpy(r->board->path[r->number], results[0].path, sizeof results[0].path);
    else if (now > limit) give_up("transfers do not end");
  }
}

static double phase_seconds(const struct options *o, enum phase phase) {
  return phase == WARM_UP ? 0 : phase == ALONE ? o->seconds / 2 : o->seconds;
}

static void run_phase(struct rank *r, enum phase phase) {
  uint64_t start;
  go_through(r, phase, 0);
  barrier(r);
  if (r->number == 0) r->board->start = now_ns() + HEAD_START_NS;
  barrier(r);
  start = r->board->start;
  move_bytes(r, phase, start, phase == WARM_UP ? 0 : start + (uint64_t)(phase_seconds(r->o, phase) * 1e9));
  barrier(r);
  go_through(r, phase, 1);
}

static void run_rank(const struct options *o, struct board *board, int number) {
  static struct rank r;
  int phase;
  r.o = o;
  r.board = board;
  r.number = number;
  r.places = AREA_LIMIT / o->size < (uint64_t)o->window ? AREA_LIMIT / o->size : (uint64_t)o->window;
  if (r.places == 0) r.places = 1;
  r.area = (r.places * o->size + 4095) / 4096 * 4096;
  open_rank(&r);
  barrier(&r);
  meet(&r);
  for (phase = WARM_UP; phase < PHASES; phase++) run_phase(&r, (enum phase)phase);
  barrier(&r);
  must(pirn_endpoint_close(r.endpoint), "closing");
  must(pirn_endpoint_close(r.mirror.visitor), "closing");
  must(pirn_endpoint_close(r.mirror.owner), "closing");
  must(pirn_memory_free(r.context, r.outgoing), "freeing");
  must(pirn_memory_free(r.context, r.incoming), "freeing");
  must(pirn_context_close(r.context), "closing the context");
  _exit(0);
}

static void stop_all(pid_t *children, int count) {
  int i;
  for (i = 0; i < count; i++)
    if (children[i] > 0) kill(children[i], SIGKILL);
  exit(1);
}

/* A rank that fails leaves the others waiting, so it ends the run. */
static void watch(const struct options *o, pid_t *children) {
  uint64_t limit = now_ns() + (uint64_t)(o->seconds * 2e9) + 10 * PATIENCE_NS;
  int i, status, running = o->ranks;
  while (running) {
    pid_t ended = waitpid(-1, &status, WNOHANG);
    for (i = 0; ended > 0 && i < o->ranks; i++) {
      if (children[i] != ended) continue;
      children[i] = 0;
      running--;
      if (status == 0) continue;
      fprintf(stderr, "mesh: rank %d (%s) ended with %s %d\n", i, o->memory[i], WIFEXITED(status) ? "exit" : "signal",
              WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
      stop_all(children, o->ranks);
    }
    if (ended <= 0) usleep(2000);
    if (now_ns() > limit) {
      fprintf(stderr, "mesh: the ranks did not end in time\n");
      stop_all(children, o->ranks);
    }
  }
}

static double rate(const struct options *o, const struct board *b, enum phase phase, int from, int to) {
  return (double)b->bytes[phase][from][to] / phase_seconds(o, phase) * 1e-9;
}

static void print_csv(const struct options *o, const struct board *b) {
  int from, to;
  printf("from,to,gb_per_s\n");
  for (from = 0; from < o->ranks; from++)
    for (to = 0; to < o->ranks; to++)
      if (initiated(o, from, to)) printf("%d,%d,%.3f\n", from, to, rate(o, b, ALL, from, to));
  printf("alone:0,1,%.3f\n", rate(o, b, ALONE, 0, 1));
}

static void print_table(const struct options *o, const struct board *b) {
  double in[MAX_RANKS] = {0}, sum = 0, low = 1e30, high = 0, alone = rate(o, b, ALONE, 0, 1);
  int from, to;
  printf("%llu bytes a %s, %d in flight to each peer, %.1f s, GB/s; every byte compared; path of rank 0: %s\n%-12s",
         (unsigned long long)o->size, o->reads ? "read" : "write", o->window, o->seconds, b->path[0], "from \\ to");
  for (to = 0; to < o->ranks; to++) printf(" %9d", to);
  printf(" %9s\n", "out");
  for (from = 0; from < o->ranks; from++) {
    double out = 0;
    printf("%2d %-9s", from, o->memory[from]);
    for (to = 0; to < o->ranks; to++) {
      double pair = rate(o, b, ALL, from, to);
      if (!initiated(o, from, to)) {
        printf(" %9s", "-");
        continue;
      }
      printf(" %9.3f", pair);
      out += pair;
      in[to] += pair;
      if (pair < low) low = pair;
      if (pair > high) high = pair;
    }
    printf(" %9.3f\n", out);
    sum += out;
  }
  printf("%-12s", "in");
  for (to = 0; to < o->ranks; to++) printf(" %9.3f", in[to]);
  printf("\naggregate %.3f GB/s; fairness (slowest pair / fastest pair) %.3f\n", sum, high > 0 ? low / high : 0);
  printf("0 -> 1 alone %.3f GB/s; aggregate / (%d x alone) %.3f\n", alone, o->initiators,
         alone > 0 ? sum / (o->initiators * alone) : 0);
}

static int wrong_usage(const char *option, const char *value, const char *allowed) {
  fprintf(stderr, "mesh: %s %s: allowed: %s\n", option, value, allowed);
  return 2;
}

/* Whether `text` is a list of memories. */
static int parse_memories(char *text, struct options *o) {
  char *name;
  for (name = strtok(text, ","); name; name = strtok(NULL, ",")) {
    const char *digits = strchr(name, ':');
    int device = digits && digits > name && digits[1] && strspn(digits + 1, "0123456789") == strlen(digits + 1);
    if ((!device && strcmp(name, "host") != 0) || strlen(name) >= sizeof o->memory[0] || o->ranks == MAX_RANKS) return 0;
    strcpy(o->memory[o->ranks++], name);
  }
  return o->ranks >= 2;
}

static int parse_size(const char *text, uint64_t *size) {
  char *end;
  unsigned long long value = strtoull(text, &end, 10);
  int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
  if (*text < '0' || *text > '9' || (shift ? end[1] : *end) || value < 1 || value > MAX_SIZE >> shift) return 0;
  *size = (uint64_t)value << shift;
  return 1;
}

static int parse_progress(const char *text, uint32_t *progress) {
  *progress = strcmp(text, "thread") == 0   ? PIRN_PROGRESS_THREAD
              : strcmp(text, "spin") == 0   ? PIRN_PROGRESS_SPIN
              : strcmp(text, "manual") == 0 ? PIRN_PROGRESS_MANUAL
                                            : PIRN_PROGRESS_DEFAULT;
  return *progress != PIRN_PROGRESS_DEFAULT;
}

/* 0, or the exit status for wrong usage. */
static int parse(int argc, char **argv, struct options *o) {
  static const struct option names[] = {{"memory", 1, 0, 'm'},   {"size", 1, 0, 's'},     {"window", 1, 0, 'w'},
                                        {"seconds", 1, 0, 't'},  {"read", 0, 0, 'd'},     {"path", 1, 0, 'a'},
                                        {"provider", 1, 0, 'p'}, {"progress", 1, 0, 'g'}, {"csv", 0, 0, 'c'},
                                        {"initiators", 1, 0, 'i'},
                                        {NULL, 0, NULL, 0}};
  const char *list = "";
  char copy[1024], *end;
  long window, initiators;
  int c;
  while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
    switch (c) {
      case 'm':
        list = optarg;
        break;
      case 's':
        if (!parse_size(optarg, &o->size)) return wrong_usage("--size", optarg, "1..4G bytes, with K, M or G");
        break;
      case 'w':
        window = strtol(optarg, &end, 10);
        if (*end || window < 1 || window > MAX_WINDOW) return wrong_usage("--window", optarg, "1..64");
        o->window = (int)window;
        break;
      case 't':
        o->seconds = strtod(optarg, &end);
        if (*end || !(o->seconds >= 0.1 && o->seconds <= 60)) return wrong_usage("--seconds", optarg, "0.1..60");
        break;
      case 'd': o->reads = 1; break;
      case 'a':
        o->path = strcmp(optarg, "auto") == 0 ? NULL : optarg;
        if (o->path && strcmp(o->path, "ipc") != 0 && strcmp(o->path, "fabric") != 0)
          return wrong_usage("--path", optarg, "auto, ipc, fabric");
        break;
      case 'p': o->provider = optarg; break;
      case 'i':
        initiators = strtol(optarg, &end, 10);
        if (*end || initiators < 1 || initiators > MAX_RANKS)
          return wrong_usage("--initiators", optarg, "1..16, of the ranks the first so many");
        o->initiators = (int)initiators;
        break;
      case 'g':
        if (!parse_progress(optarg, &o->progress)) return wrong_usage("--progress", optarg, "thread, spin, manual");
        break;
      case 'c': o->csv = 1; break;
      default: return 2;
    }
  }
  if (optind < argc) return wrong_usage("argument", argv[optind], "options alone");
  snprintf(copy, sizeof copy, "%s", list);
  if (!parse_memories(copy, o))
    return wrong_usage("--memory", list, "2..16 of host and KIND:NUMBER (cuda:0), with commas between them");
  if (o->initiators == 0 || o->initiators > o->ranks) o->initiators = o->ranks;
  return 0;
}

int main(int argc, char **argv) {
  static struct options o;
  struct board *board;
  pid_t children[MAX_RANKS];
  int i, wrong;
  o.size = 64 << 20;
  o.window = 4;
  o.seconds = 2;
  o.progress = PIRN_PROGRESS_THREAD;
  if ((wrong = parse(argc, argv, &o)) != 0) return wrong;
  board = must_map(sizeof *board, 1);
  board->seed = now_ns();
  /* Before anything opens a device: their runtimes do not survive fork(). */
  for (i = 0; i < o.ranks; i++)
    if ((children[i] = fork_child()) == 0) run_rank(&o, board, i);
  watch(&o, children);
  o.csv ? print_csv(&o, board) : print_table(&o, board);
  return 0;
}
