#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a test program as two hosts: itself in one network namespace, its targets in
# another, joined by a veth pair. Both are removed at the end. Exit 77 with the reason if this machine cannot.
set -u
program=$1
shift
skip() { echo "netns.sh: skipped: $1"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root to make network namespaces"
command -v ip > /dev/null || skip "needs the ip command (package iproute2)"
a=pirn-a-$$
b=pirn-b-$$
ip netns add "$a" 2> /dev/null || skip "this kernel or container does not allow network namespaces"
cleanup() {
  ip netns del "$a" 2> /dev/null
  ip netns del "$b" 2> /dev/null
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM
ip netns add "$b" || exit 1
ip link add pirnva netns "$a" type veth peer name pirnvb netns "$b" || skip "this kernel has no veth devices"
ip -n "$a" addr add 10.77.0.1/24 dev pirnva && ip -n "$b" addr add 10.77.0.2/24 dev pirnvb || exit 1
for side in "$a" "$b"; do ip -n "$side" link set lo up || exit 1; done
ip -n "$a" link set pirnva up && ip -n "$b" link set pirnvb up || exit 1
tries=0
until ip -n "$a" -o link show pirnva | grep -q "state UP" && ip -n "$b" -o link show pirnvb | grep -q "state UP"; do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || { echo "netns.sh: the veth pair does not come up"; exit 1; }
  sleep 0.02
done
PIRN_TEST_MODE=hosts PIRN_TEST_NETNS_B=$b PIRN_TEST_HOST_A=10.77.0.1 PIRN_TEST_HOST_B=10.77.0.2 \
  PIRN_TEST_DEVICE_A=pirnva ip netns exec "$a" "$program" "$@"
