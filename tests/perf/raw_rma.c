/* SPDX-License-Identifier: Apache-2.0 */
/* raw_rma: one-sided writes and reads through bare libfabric calls: the reference
 * that pirn is compared with. One initiator thread, one target thread, both spin.
 * Writes ask for delivery completion, as pirn's do; without it a provider may report
 * bytes that only left for the socket buffer. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

#define MAX_WINDOW 1024
#define MAX_SIZES 64
#define BUFFER_LIMIT (256ull << 20) /* the slots of large messages overlap beyond it; pirn-perf does the same */
#define GIVE_UP_NS 30000000000ull

struct options {
  const char *provider, *address, *operation;
  const char *json;
  uint64_t sizes[MAX_SIZES];
  int size_count;
  uint64_t iterations; /* 0: by size */
  int window;
  int same_process;
  int csv;
};

/* Lives in memory shared by both sides, also across fork. */
struct meeting {
  int target_ready, initiator_ready, stop;
  char target_name[256], initiator_name[256];
  uint64_t base, key;
};

struct side {
  struct fi_info *info;
  struct fid_fabric *fabric;
  struct fid_domain *domain;
  struct fid_cq *cq;
  struct fid_av *av;
  struct fid_ep *ep;
  struct fid_mr *mr;
  char *buffer;
  uint64_t length;
  fi_addr_t peer;
};

struct row {
  uint64_t size, iterations;
  double seconds, p50_us, p99_us;
};

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void fail(const char *what, long code) {
  fprintf(stderr, "raw_rma: %s: %s (%ld)\n", what, fi_strerror((int)(code < 0 ? -code : code)), code);
  exit(1);
}

static void check(const char *what, long code) {
  if (code) fail(what, code);
}

static struct fi_info *make_hints(const struct options *o) {
  struct fi_info *hints = fi_allocinfo();
  if (!hints) fail("fi_allocinfo", FI_ENOMEM);
  hints->caps = FI_MSG | FI_RMA | FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE;
  hints->mode = FI_CONTEXT | FI_CONTEXT2;
  hints->ep_attr->type = FI_EP_RDM;
  hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY | FI_MR_ENDPOINT;
  hints->domain_attr->threading = FI_THREAD_DOMAIN;
  hints->fabric_attr->prov_name = strdup(o->provider);
  return hints;
}

static void register_buffer(struct side *s) {
  uint64_t access = FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE;
  check("fi_mr_reg", fi_mr_reg(s->domain, s->buffer, s->length, access, 0, 7, 0, &s->mr, NULL));
  if (s->info->domain_attr->mr_mode & FI_MR_ENDPOINT) {
    check("fi_mr_bind", fi_mr_bind(s->mr, &s->ep->fid, 0));
    check("fi_mr_enable", fi_mr_enable(s->mr));
  }
}

static void open_side(struct side *s, const struct options *o, char *name) {
  struct fi_info *hints = make_hints(o);
  struct fi_cq_attr cq_attr;
  struct fi_av_attr av_attr;
  size_t name_length = 256;
  uint64_t flags = o->address ? FI_SOURCE : 0;

  check("fi_getinfo", fi_getinfo(FI_VERSION(1, 17), o->address, NULL, flags, hints, &s->info));
  fi_freeinfo(hints);
  check("fi_fabric", fi_fabric(s->info->fabric_attr, &s->fabric, NULL));
  check("fi_domain", fi_domain(s->fabric, s->info, &s->domain, NULL));
  memset(&cq_attr, 0, sizeof cq_attr);
  cq_attr.format = FI_CQ_FORMAT_MSG;
  cq_attr.wait_obj = FI_WAIT_NONE;
  cq_attr.size = 4096;
  check("fi_cq_open", fi_cq_open(s->domain, &cq_attr, &s->cq, NULL));
  memset(&av_attr, 0, sizeof av_attr);
  av_attr.type = FI_AV_TABLE;
  check("fi_av_open", fi_av_open(s->domain, &av_attr, &s->av, NULL));
  check("fi_endpoint", fi_endpoint(s->domain, s->info, &s->ep, NULL));
  check("bind av", fi_ep_bind(s->ep, &s->av->fid, 0));
  check("bind cq", fi_ep_bind(s->ep, &s->cq->fid, FI_TRANSMIT | FI_RECV));
  check("fi_enable", fi_enable(s->ep));
  s->buffer = mmap(NULL, s->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (s->buffer == MAP_FAILED) fail("mmap", errno);
  memset(s->buffer, 1, s->length);
  register_buffer(s);
  check("fi_getname", fi_getname(&s->ep->fid, name, &name_length));
}

static void close_side(struct side *s) {
  fi_close(&s->mr->fid);
  fi_close(&s->ep->fid);
  fi_close(&s->av->fid);
  fi_close(&s->cq->fid);
  fi_close(&s->domain->fid);
  fi_close(&s->fabric->fid);
  fi_freeinfo(s->info);
  munmap(s->buffer, s->length);
}

static void wait_for(int *flag, const char *what) {
  uint64_t limit = now() + GIVE_UP_NS;
  while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
    if (now() > limit) fail(what, FI_ETIMEDOUT);
}

static void insert_peer(struct side *s, const char *name) {
  if (fi_av_insert(s->av, name, 1, &s->peer, 0, NULL) != 1) fail("fi_av_insert", FI_EINVAL);
}

static size_t take(struct side *s, size_t room) {
  struct fi_cq_msg_entry entries[64];
  struct fi_cq_err_entry error;
  ssize_t n = fi_cq_read(s->cq, entries, room < 64 ? room : 64);
  if (n >= 0) return (size_t)n;
  if (n == -FI_EAGAIN) return 0;
  memset(&error, 0, sizeof error);
  fi_cq_readerr(s->cq, &error, 0);
  fail("completion", error.err ? error.err : (long)-n);
  return 0;
}

static void serve(struct meeting *m, const struct options *o, uint64_t length) {
  struct side s;
  memset(&s, 0, sizeof s);
  s.length = length;
  open_side(&s, o, m->target_name);
  m->base = s.info->domain_attr->mr_mode & FI_MR_VIRT_ADDR ? (uint64_t)(uintptr_t)s.buffer : 0;
  m->key = fi_mr_key(s.mr);
  __atomic_store_n(&m->target_ready, 1, __ATOMIC_RELEASE);
  wait_for(&m->initiator_ready, "waiting for the initiator");
  insert_peer(&s, m->initiator_name);
  while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) take(&s, 64);
  close_side(&s);
}

struct job {
  struct side *s;
  const struct meeting *m;
  int write;
  uint64_t size;
  int window;
};

static struct fi_context2 contexts[MAX_WINDOW];

/* Posts operation `index`; polls while the provider's queue is full. Returns completions met meanwhile. */
static size_t post(const struct job *j, uint64_t index) {
  uint64_t slots = j->s->length / j->size, offset = index % slots * j->size;
  struct iovec local = {j->s->buffer + offset, j->size};
  void *descriptor = fi_mr_desc(j->s->mr);
  struct fi_rma_iov remote = {j->m->base + offset, j->size, j->m->key};
  struct fi_msg_rma message = {&local, &descriptor, 1, j->s->peer, &remote, 1, &contexts[index % (uint64_t)j->window], 0};
  uint64_t limit = now() + GIVE_UP_NS;
  size_t met = 0;
  for (;;) {
    ssize_t rc = j->write ? fi_writemsg(j->s->ep, &message, FI_COMPLETION | FI_DELIVERY_COMPLETE)
                          : fi_readmsg(j->s->ep, &message, FI_COMPLETION);
    if (rc == 0) return met;
    if (rc != -FI_EAGAIN) fail("post", rc);
    met += take(j->s, 64);
    if (now() > limit) fail("post", FI_ETIMEDOUT);
  }
}

static double stream(const struct job *j, uint64_t iterations) {
  uint64_t posted = 0, done = 0, start = now();
  while (done < iterations) {
    while (posted < iterations && posted - done < (uint64_t)j->window) done += post(j, posted++);
    done += take(j->s, 64);
  }
  return (double)(now() - start) * 1e-9;
}

static int compare_u64(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void ping(const struct job *j, uint64_t iterations, struct row *r) {
  uint64_t *samples = malloc(iterations * sizeof *samples), i;
  if (!samples) fail("malloc", FI_ENOMEM);
  for (i = 0; i < iterations; i++) {
    uint64_t start = now();
    size_t done = post(j, i);
    while (!done) done = take(j->s, 1);
    samples[i] = now() - start;
  }
  qsort(samples, iterations, sizeof *samples, compare_u64);
  r->p50_us = (double)samples[iterations / 2] * 1e-3;
  r->p99_us = (double)samples[iterations * 99 / 100] * 1e-3;
  free(samples);
}

static uint64_t default_iterations(uint64_t size) {
  uint64_t n = (1ull << 30) / size;
  return n < 32 ? 32 : n > 20000 ? 20000 : n;
}

static void measure(struct side *s, const struct meeting *m, const struct options *o, uint64_t size, struct row *r) {
  struct job j = {s, m, strcmp(o->operation, "write") == 0, size, o->window};
  uint64_t pings;
  r->size = size;
  r->iterations = o->iterations ? o->iterations : default_iterations(size);
  stream(&j, r->iterations / 10 + 1);
  r->seconds = stream(&j, r->iterations);
  pings = r->iterations > 10000 ? 10000 : r->iterations;
  j.window = 1;
  ping(&j, pings, r);
}

static void print_json(const struct options *o, const struct row *rows) {
  FILE *f = strcmp(o->json, "-") == 0 ? stdout : fopen(o->json, "w");
  int i;
  if (!f) fail(o->json, errno);
  fprintf(f, "{\"schema\": 1, \"provider\": \"%s\", \"operation\": \"%s\", \"window\": %d, \"results\": [", o->provider,
          o->operation, o->window);
  for (i = 0; i < o->size_count; i++)
    fprintf(f, "%s\n  {\"size\": %llu, \"iterations\": %llu, \"gb_per_s\": %.4f, \"p50_us\": %.3f, \"p99_us\": %.3f}",
            i ? "," : "", (unsigned long long)rows[i].size, (unsigned long long)rows[i].iterations,
            (double)rows[i].size * (double)rows[i].iterations / rows[i].seconds * 1e-9, rows[i].p50_us, rows[i].p99_us);
  fprintf(f, "\n]}\n");
  if (f != stdout) fclose(f);
}

static void print_rows(const struct options *o, const struct row *rows) {
  int i;
  if (o->csv)
    printf("provider,operation,size,iterations,window,gb_per_s,ops_per_s,p50_us,p99_us\n");
  else
    printf("%s over %s, window %d\n%12s %10s %12s %10s %10s\n", o->operation, o->provider, o->window, "bytes", "GB/s",
           "ops/s", "p50 us", "p99 us");
  for (i = 0; i < o->size_count; i++) {
    const struct row *r = &rows[i];
    double ops = (double)r->iterations / r->seconds, rate = ops * (double)r->size * 1e-9;
    if (o->csv)
      printf("%s,%s,%llu,%llu,%d,%.4f,%.0f,%.3f,%.3f\n", o->provider, o->operation, (unsigned long long)r->size,
             (unsigned long long)r->iterations, o->window, rate, ops, r->p50_us, r->p99_us);
    else
      printf("%12llu %10.3f %12.0f %10.2f %10.2f\n", (unsigned long long)r->size, rate, ops, r->p50_us, r->p99_us);
  }
}

static void initiate(struct meeting *m, const struct options *o, uint64_t length) {
  struct row rows[MAX_SIZES];
  struct side s;
  int i;
  memset(&s, 0, sizeof s);
  memset(rows, 0, sizeof rows);
  s.length = length;
  open_side(&s, o, m->initiator_name);
  wait_for(&m->target_ready, "waiting for the target");
  insert_peer(&s, m->target_name);
  __atomic_store_n(&m->initiator_ready, 1, __ATOMIC_RELEASE);
  for (i = 0; i < o->size_count; i++) measure(&s, m, o, o->sizes[i], &rows[i]);
  __atomic_store_n(&m->stop, 1, __ATOMIC_RELEASE);
  if (o->json) print_json(o, rows);
  if (!o->json || strcmp(o->json, "-") != 0) print_rows(o, rows);
  close_side(&s);
}

struct target_arguments {
  struct meeting *m;
  const struct options *o;
  uint64_t length;
};

static void *serve_thread(void *arg) {
  struct target_arguments *a = arg;
  serve(a->m, a->o, a->length);
  return NULL;
}

static int run(struct meeting *m, const struct options *o, uint64_t length) {
  if (o->same_process) {
    struct target_arguments a = {m, o, length};
    pthread_t thread;
    check("pthread_create", pthread_create(&thread, NULL, serve_thread, &a));
    initiate(m, o, length);
    pthread_join(thread, NULL);
    return 0;
  }
  pid_t parent = getpid(), child = fork();
  int status = 0;
  if (child < 0) fail("fork", errno);
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    serve(m, o, length);
    _exit(0);
  }
  initiate(m, o, length);
  waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}

static uint64_t parse_size(const char *text, char **end) {
  uint64_t value = strtoull(text, end, 10);
  if (**end == 'K') value <<= 10, ++*end;
  else if (**end == 'M') value <<= 20, ++*end;
  else if (**end == 'G') value <<= 30, ++*end;
  return value;
}

/* "8..64M" (powers of two) or "8,4K,1M". */
static int parse_sizes(struct options *o, const char *text) {
  char *end;
  uint64_t first = parse_size(text, &end);
  o->size_count = 0;
  if (strncmp(end, "..", 2) == 0) {
    uint64_t last = parse_size(end + 2, &end);
    for (; first && first <= last && o->size_count < MAX_SIZES; first *= 2) o->sizes[o->size_count++] = first;
    return *end == 0 && o->size_count > 0;
  }
  while (first && first <= BUFFER_LIMIT && o->size_count < MAX_SIZES) {
    o->sizes[o->size_count++] = first;
    if (*end != ',') break;
    first = parse_size(end + 1, &end);
  }
  return *end == 0 && o->size_count > 0;
}

static void usage(void) {
  fprintf(stderr,
          "usage: raw_rma [--local | --same-process] [--provider net] [--operation write|read]\n"
          "               [--sizes 8..64M | 8,4K,1M] [--window 16] [--iters N] [--address 127.0.0.1]\n"
          "               [--csv] [--json FILE|-]\n");
  exit(2);
}

static void parse(struct options *o, int argc, char **argv) {
  static const struct option names[] = {
      {"provider", 1, 0, 'p'}, {"operation", 1, 0, 'o'}, {"sizes", 1, 0, 's'},   {"window", 1, 0, 'w'},
      {"iters", 1, 0, 'i'},    {"local", 0, 0, 'l'},     {"csv", 0, 0, 'c'},     {"same-process", 0, 0, 'x'},
      {"json", 1, 0, 'j'},     {"address", 1, 0, 'a'},   {NULL, 0, NULL, 0}};
  int c;
  while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
    switch (c) {
      case 'p': o->provider = optarg; break;
      case 'o': o->operation = optarg; break;
      case 's': if (!parse_sizes(o, optarg)) usage(); break;
      case 'w': o->window = atoi(optarg); break;
      case 'i': o->iterations = strtoull(optarg, NULL, 10); break;
      case 'l': o->same_process = 0; break;
      case 'x': o->same_process = 1; break;
      case 'c': o->csv = 1; break;
      case 'j': o->json = optarg; break;
      case 'a': o->address = optarg; break;
      default: usage();
    }
  }
  if (o->window < 1 || o->window > MAX_WINDOW || optind != argc) usage();
  if (strcmp(o->operation, "write") && strcmp(o->operation, "read")) usage();
}

int main(int argc, char **argv) {
  struct options o;
  struct meeting *m;
  uint64_t length = 0;
  int i;
  memset(&o, 0, sizeof o);
  o.provider = "net";
  o.operation = "write";
  o.window = 16;
  parse_sizes(&o, "8..64M");
  parse(&o, argc, argv);
  if (!o.address && strcmp(o.provider, "shm") != 0) o.address = "127.0.0.1";
  for (i = 0; i < o.size_count; i++)
    if (o.sizes[i] * (uint64_t)o.window > length) length = o.sizes[i] * (uint64_t)o.window;
  if (length > BUFFER_LIMIT) length = BUFFER_LIMIT;
  m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (m == MAP_FAILED) fail("mmap", errno);
  return run(m, &o, length);
}
