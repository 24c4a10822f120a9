/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes share memory: the client writes into the server's memory, tells it, and reads the bytes back.
 *
 *   example                         starts its own server and plays the client
 *   example server                  prints "ADDRESS WINDOW" and serves one client
 *   example client ADDRESS WINDOW
 *
 * Any cc, -std=c99, and `pkg-config --cflags --libs pirn`. */
#define _POSIX_C_SOURCE 200809L /* popen */

#include <pirn/pirn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 1000003u
#define TEXT_ROOM 16384 /* more than any address or window takes */

static unsigned char memory[BYTES]; /* the server's shared bytes; the client's source */
static unsigned char copy[BYTES];   /* what the client read back */

static void check(pirn_status status, const char *call) {
  if (status == PIRN_OK) return;
  fprintf(stderr, "%s: %s: %s\n", call, pirn_status_string(status), pirn_last_error());
  exit(1);
}

static unsigned char pattern(size_t i) { return (unsigned char)((i * 31 + i / 251 + 7) % 256); }

static void check_bytes(const unsigned char *bytes, const char *whose) {
  size_t i;
  for (i = 0; i < BYTES; i++) {
    if (bytes[i] != pattern(i)) {
      fprintf(stderr, "%s: byte %lu is wrong\n", whose, (unsigned long)i);
      exit(1);
    }
  }
  printf("%s: example ok: %u bytes\n", whose, BYTES);
  fflush(stdout);
}

/* A notification arrives when the bytes of its transfer are in place. Timeout 0: the default. */
static void expect_notification(pirn_endpoint *endpoint, const char *expected) {
  char message[64];
  size_t length = sizeof message;
  pirn_notification notification = {sizeof notification, NULL, 0};
  pirn_status status = pirn_notification_take(endpoint, 0, &notification, message, &length);
  check(status == PIRN_IN_PROGRESS ? PIRN_ERR_TIMEOUT : status, "pirn_notification_take");
  if (length != strlen(expected) || memcmp(message, expected, length) != 0) {
    fprintf(stderr, "unexpected notification\n");
    exit(1);
  }
}

static void serve(pirn_endpoint *endpoint) {
  char address[256], blob[TEXT_ROOM], window[TEXT_ROOM];
  size_t address_room = sizeof address, blob_length = sizeof blob, window_room = sizeof window;
  uint64_t window_id;
  pirn_region *region;
  pirn_peer *peer;

  check(pirn_region_register(endpoint, memory, BYTES, NULL, &region), "pirn_region_register");
  check(pirn_region_advertise(region, 0, BYTES, PIRN_ACCESS_READ | PIRN_ACCESS_WRITE, blob, &blob_length, &window_id),
        "pirn_region_advertise");
  check(pirn_blob_to_text(blob, blob_length, window, &window_room), "pirn_blob_to_text");
  check(pirn_endpoint_listen(endpoint, "127.0.0.1:0"), "pirn_endpoint_listen");
  check(pirn_endpoint_address(endpoint, address, &address_room), "pirn_endpoint_address");
  printf("%s %s\n", address, window);
  fflush(stdout);

  check(pirn_endpoint_accept(endpoint, 0, &peer), "pirn_endpoint_accept");
  expect_notification(endpoint, "written");
  check_bytes(memory, "server");
  expect_notification(endpoint, "done");
}

static void play_client(pirn_endpoint *endpoint, const char *address, const char *window_text) {
  pirn_transfer_params params = {sizeof params, "written", 7, 0, 0, 0, NULL};
  pirn_transfer transfer;
  pirn_result result;
  pirn_region *source, *target;
  pirn_window *window;
  pirn_peer *peer;
  size_t i;

  for (i = 0; i < BYTES; i++) memory[i] = pattern(i);
  check(pirn_peer_connect(endpoint, address, 0, &peer), "pirn_peer_connect");
  check(pirn_window_import(peer, window_text, strlen(window_text), &window), "pirn_window_import");
  check(pirn_region_register(endpoint, memory, BYTES, NULL, &source), "pirn_region_register");
  check(pirn_region_register(endpoint, copy, BYTES, NULL, &target), "pirn_region_register");

  /* Blocking: no transfer id is asked for. */
  check(pirn_write(source, 0, window, 0, BYTES, &params, NULL), "pirn_write");

  /* And in the background: start, wait, give the id back. */
  check(pirn_read(target, 0, window, 0, BYTES, NULL, &transfer), "pirn_read");
  memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  check(pirn_transfer_wait(endpoint, transfer, 0, &result), result.text);
  check(pirn_transfer_release(endpoint, transfer), "pirn_transfer_release");
  check_bytes(copy, "client");
  check(pirn_notify(peer, "done", 4, NULL, NULL), "pirn_notify");
}

/* The server is a new program, not a fork: a fork would share the network devices of its parent. */
static int play_both(pirn_endpoint *endpoint, const char *program) {
  static char command[4096], line[2 * TEXT_ROOM], address[256], window[TEXT_ROOM];
  FILE *server;
  snprintf(command, sizeof command, "exec '%s' server", program);
  server = popen(command, "r");
  if (server == NULL || fgets(line, sizeof line, server) == NULL ||
      sscanf(line, "%255s %16383s", address, window) != 2) {
    fprintf(stderr, "the server did not start\n");
    return 1;
  }
  play_client(endpoint, address, window);
  while (fgets(line, sizeof line, server) != NULL) fputs(line, stdout);
  return pclose(server) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  pirn_context *context;
  pirn_endpoint *endpoint;
  int code = 0;
  check(pirn_context_open(NULL, &context), "pirn_context_open");
  check(pirn_endpoint_open(context, NULL, &endpoint), "pirn_endpoint_open");
  if (argc == 2 && strcmp(argv[1], "server") == 0) {
    serve(endpoint);
  } else if (argc == 4 && strcmp(argv[1], "client") == 0) {
    play_client(endpoint, argv[2], argv[3]);
  } else {
    code = play_both(endpoint, argv[0]);
  }
  check(pirn_endpoint_close(endpoint), "pirn_endpoint_close"); /* closes all that was made from it, too */
  check(pirn_context_close(context), "pirn_context_close");
  return code;
}
