// SPDX-License-Identifier: Apache-2.0
// The groups of the table conformance: number of failed tests.
#pragma once

int run_memory();
int run_copies();
int run_blocks();
int run_streams();
int run_sharing();

// The other process of run_sharing(): does what it is asked over the socket until that ends.
int run_importer(int socket);
