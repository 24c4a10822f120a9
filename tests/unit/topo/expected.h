// SPDX-License-Identifier: Apache-2.0
// Machines that are described twice: by this project, and from a real one.
#pragma once

#include "described.h"

inline const char *const p5_nics =
    "0,1,2,3 4,5,6,7 8,9,10,11 12,13,14,15 16,17,18,19 20,21,22,23 24,25,26,27 28,29,30,31";
inline const char *const p5_memory =
    "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31";

inline Expected p4d(const char *name, const char *adapter) {
  return {name, {adapter}, 4, "0 0 1 1 2 2 3 3", "0 0 1 1 2 2 3 3", "h h h h h h h h", "0,1 2,3"};
}

inline Expected p5(const char *name) {
  return {name, {"1d0f:efa1"}, 32, p5_nics, p5_nics, "s s s s s s s s", p5_memory};
}

inline Expected p5en(const char *name) {
  return {name,
          {"1d0f:efa2"},
          16,
          "0,1,2,3 0,1,2,3 4,5,6,7 4,5,6,7 8,9,10,11 8,9,10,11 12,13,14,15 12,13,14,15",
          "0,1 2,3 4,5 6,7 8,9 10,11 12,13 14,15",
          "s s s s s s s s",
          "0,1,2,3,4,5,6,7 8,9,10,11,12,13,14,15"};
}

inline Expected p6_b200(const char *name) {
  return {name,
          {"1d0f:efa3"},
          8,
          "0,1 0,1 2,3 2,3 4,5 4,5 6,7 6,7",
          "0 1 2 3 4 5 6 7",
          "s s s s s s s s",
          "0,1,2,3 4,5,6,7"};
}
