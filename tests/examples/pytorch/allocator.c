/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of pirn_memory_alloc for PyTorch's torch.cuda.memory.CUDAPluggableAllocator: every process of the host can map
 * it, also where plain memory has no handle (two pods whose processes are both number 1). Give it to a torch.cuda.MemPool
 * that holds what is to be transferred; example.py shows how.
 *
 *   cc -shared -fPIC -o libpirn_torch.so allocator.c $(pkg-config --cflags --libs pirn) */
#include <pirn/pirn.h>

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

void *pirn_torch_alloc(ptrdiff_t size, int device, void *stream);
void pirn_torch_free(void *address, ptrdiff_t size, int device, void *stream);

static pirn_context *context;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_context(void) {
  if (pirn_context_open(NULL, &context) != PIRN_OK) fprintf(stderr, "pirn: %s\n", pirn_last_error());
}

/* NULL makes PyTorch raise its out-of-memory error. */
void *pirn_torch_alloc(ptrdiff_t size, int device, void *stream) {
  char name[32];
  void *address = NULL;
  (void)stream;
  pthread_once(&once, open_context);
  if (!context || size <= 0) return NULL;
  snprintf(name, sizeof name, "cuda:%d", device);
  if (pirn_memory_alloc(context, name, (uint64_t)size, &address) != PIRN_OK)
    fprintf(stderr, "pirn: %s\n", pirn_last_error());
  return address;
}

/* PyTorch has waited for the streams that used it. */
void pirn_torch_free(void *address, ptrdiff_t size, int device, void *stream) {
  (void)size, (void)device, (void)stream;
  if (context && pirn_memory_free(context, address) != PIRN_OK) fprintf(stderr, "pirn: %s\n", pirn_last_error());
}
