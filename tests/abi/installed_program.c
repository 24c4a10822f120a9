/* SPDX-License-Identifier: Apache-2.0 */
/* What a user builds against the installed library: prints the version, opens a context and an endpoint. */
#include <pirn/pirn.h>

#include <stdio.h>
#include <string.h>

static int failed(const char *call) {
  fprintf(stderr, "%s: %s\n", call, pirn_last_error());
  return 1;
}

int main(void) {
  const char *settings[] = {"provider=tcp"};
  pirn_context_params params;
  pirn_context *context;
  pirn_endpoint *endpoint;

  if (pirn_version() != PIRN_VERSION_NUMBER) {
    fprintf(stderr, "headers and library are of different versions\n");
    return 1;
  }
  memset(&params, 0, sizeof params);
  params.struct_size = sizeof params;
  params.settings = settings;
  params.settings_count = 1;
  if (pirn_context_open(&params, &context) != PIRN_OK) return failed("pirn_context_open");
  if (pirn_endpoint_open(context, NULL, &endpoint) != PIRN_OK) return failed("pirn_endpoint_open");
  if (pirn_endpoint_close(endpoint) != PIRN_OK) return failed("pirn_endpoint_close");
  if (pirn_context_close(context) != PIRN_OK) return failed("pirn_context_close");
  printf("pirn %s\n", pirn_version_string());
  return 0;
}
