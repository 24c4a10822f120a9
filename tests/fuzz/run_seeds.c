/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over every file of its corpus, so that seeds are tested with any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each input gets a block of exactly its size: a sanitizer sees every byte read too far. */
static int run_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return 1;
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
  const int complete = data != NULL && size >= 0 && fread(data, 1, (size_t)size, file) == (size_t)size;
  fclose(file);
  if (complete) {
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, (size_t)size);
  }
  free(data);
  return complete ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  DIR *directory = opendir(argv[1]);
  if (directory == NULL) {
    fprintf(stderr, "no corpus at %s\n", argv[1]);
    return 2;
  }
  int count = 0, unreadable = 0;
  const struct dirent *entry;
  while ((entry = readdir(directory)) != NULL) {
    if (entry->d_name[0] == '.') continue;
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
    unreadable += run_file(path);
    ++count;
  }
  closedir(directory);
  printf("%d seeds, %d unreadable\n", count, unreadable);
  return count == 0 || unreadable != 0;
}
