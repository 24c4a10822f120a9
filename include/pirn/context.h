/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/context.h: settings, logging and what was found on this machine.
 *
 * ABI rules for every struct of pirn: set struct_size to sizeof(the struct) and
 * zero the rest; zero means "default" in every field. Libraries accept structs
 * of older callers (missing fields read as zero) and of newer ones (as long as
 * the fields this library does not know are zero). Outputs are written on failure too
 * (NULL or 0). All functions of this header may be called from any thread. */
#ifndef PIRN_CONTEXT_H
#define PIRN_CONTEXT_H

#include <stddef.h>
#include <pirn/status.h>

typedef struct pirn_context pirn_context;

#define PIRN_LOG_ERROR 1u
#define PIRN_LOG_WARN 2u
#define PIRN_LOG_INFO 3u
#define PIRN_LOG_DEBUG 4u

/* Receives one line of log, without line end. May be called from any thread,
 * also from pirn's own; must not call pirn. */
typedef void (*pirn_log_fn)(void *arg, uint32_t level, const char *line);

typedef struct pirn_context_params {
  size_t struct_size;
  const char *const *settings; /* "NAME=VALUE" strings, names without the PIRN_ prefix in any case; they win over the environment */
  uint64_t settings_count;
  pirn_log_fn log; /* NULL: standard error */
  void *log_arg;
} pirn_context_params;

#ifdef __cplusplus
extern "C" {
#endif

/* Opens a context: reads settings (defaults < environment < params), checks them.
 * params may be NULL. Errors: INVALID or RANGE for a malformed setting (the text names it). */
PIRN_API pirn_status pirn_context_open(const pirn_context_params *params, pirn_context **context);

/* Closes it. BUSY while endpoints are open. NULL is fine. */
PIRN_API pirn_status pirn_context_close(pirn_context *context);

#ifdef __cplusplus
}
#endif
#endif
