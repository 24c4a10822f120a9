#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# op_cost.sh path/to/op_cost: times and allocations, then system calls and instructions of one operation. Those two are
# differences of a run of 2N and one of N operations, so that opening and closing cancel out. Needs strace and valgrind;
# says which is missing. Exit status 1: an allocation or a system call was made on the way of a write.
set -eu
program=$1
operations=${2:-20000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

"$program" || failed=1

calls() {
  strace -f -c -o "$work/calls" "$program" "$1" "$2" 1 > /dev/null
  awk '$NF == "total" { print ($4 ~ /^[0-9]+$/) ? $4 : $3 }' "$work/calls"
}

instructions() {
  valgrind --tool=callgrind --callgrind-out-file="$work/$1.$2" "$program" "$1" "$2" 1 > /dev/null 2> "$work/log"
  awk '/Collected/ { print $NF }' "$work/log"
}

printf '\n%-10s %14s %18s\n' row 'system calls' 'instructions'
for row in rail wait blocking post select queued; do
  made=missing
  if command -v strace > /dev/null; then
    once=$(calls $row "$operations")
    twice=$(calls $row $((2 * operations)))
    made=$(awk "BEGIN { printf \"%.4f\", ($twice - $once) / $operations }")
    # The clock may tick once more, and sockets are looked at then: never once an operation.
    awk "BEGIN { exit !($made > 0.01) }" && failed=1
  fi
  each=missing
  if command -v valgrind > /dev/null; then
    once=$(instructions $row "$operations")
    twice=$(instructions $row $((2 * operations)))
    each=$(awk "BEGIN { printf \"%.0f\", ($twice - $once) / $operations }")
  fi
  printf '%-10s %14s %18s\n' $row "$made" "$each"
done
exit $failed
