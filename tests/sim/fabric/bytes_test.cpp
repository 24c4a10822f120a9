// SPDX-License-Identifier: Apache-2.0
// A simulated NIC moves bytes, within one process and between two. The fabric is the program's argument.
#include "node.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

using namespace pirn::sim_nic;

namespace {

const char *fabric;

void getinfo__two_nics__pci_speed_and_names_are_those_of_the_device(void **) {
  fi_info *info = find(fabric);
  assert_non_null(info);
  assert_non_null(info->next);
  assert_null(info->next->next);
  for (fi_info *i = info; i; i = i->next) {
    assert_string_equal(i->fabric_attr->prov_name, provider_of(fabric));
    assert_string_equal(i->fabric_attr->name, fabric);
    assert_non_null(i->nic);
    assert_int_equal(i->nic->bus_attr->bus_type, FI_BUS_PCI);
    assert_true(i->nic->link_attr->speed >= 100000000000);
    assert_int_equal(i->nic->link_attr->state, FI_LINK_UP);
    assert_int_equal(i->ep_attr->type, FI_EP_RDM);
  }
  assert_string_not_equal(info->domain_attr->name, info->next->domain_attr->name);
  assert_int_not_equal(info->nic->bus_attr->attr.pci.bus_id, info->next->nic->bus_attr->attr.pci.bus_id);
  fi_freeinfo(info);
}

void write__random_sizes_and_offsets__target_holds_exactly_those_bytes(void **) {
  auto random = generator();
  Pair pair(fabric);
  Buffer from(pair.initiator, 1 << 20, both_local), to(pair.target, 1 << 20, both_remote);
  std::vector<unsigned char> expected = to.bytes;

  for (int i = 0; i < 100; i++) {
    size_t length = 1 + random() % (i % 8 ? 5000 : 300000);
    size_t at = random() % (from.bytes.size() - length), there = random() % (to.bytes.size() - length);
    fi_context2 context;
    assert_int_equal(pair.write(from, at, length, to.remote_address(there), to.key(), &context), 0);
    Result done = pair.initiator.next(&pair.target);
    assert_ptr_equal(done.context, &context);
    assert_int_equal(done.error, 0);
    assert_int_equal(done.flags & (FI_RMA | FI_WRITE), FI_RMA | FI_WRITE);
    memcpy(expected.data() + there, from.bytes.data() + at, length);
    assert_memory_equal(to.bytes.data(), expected.data(), expected.size());
  }
}

void read__random_sizes_and_offsets__local_buffer_holds_exactly_those_bytes(void **) {
  auto random = generator();
  Pair pair(fabric);
  Buffer into(pair.initiator, 1 << 20, both_local), from(pair.target, 1 << 20, both_remote);
  std::vector<unsigned char> expected = into.bytes;

  for (int i = 0; i < 100; i++) {
    size_t length = 1 + random() % (i % 8 ? 5000 : 300000);
    size_t at = random() % (into.bytes.size() - length), there = random() % (from.bytes.size() - length);
    fi_context2 context;
    assert_int_equal(fi_read(pair.initiator.ep, into.bytes.data() + at, length, into.descriptor(), pair.to_target,
                             from.remote_address(there), from.key(), &context),
                     0);
    Result done = pair.initiator.next(&pair.target);
    assert_ptr_equal(done.context, &context);
    assert_int_equal(done.error, 0);
    memcpy(expected.data() + at, from.bytes.data() + there, length);
  }

  assert_memory_equal(into.bytes.data(), expected.data(), expected.size());
}

void post_read(Pair &pair, Buffer &into, Buffer &from, size_t at, size_t length, fi_context2 *context) {
  ssize_t rc = -FI_EAGAIN;
  for (int i = 0; i < 1000000 && rc == -FI_EAGAIN; i++)
    rc = fi_read(pair.initiator.ep, into.bytes.data() + at, length, into.descriptor(), pair.to_target,
                 from.remote_address(at), from.key(), context);
  assert_int_equal(rc, 0);
}

// Bytes of the first read are here, and those of the last are not.
void close__in_the_midst_of_reads__those_of_the_next_endpoint_complete_once(void **) {
  constexpr size_t count = 4, each = 8 << 20, little = 100000;
  Pair pair(fabric);
  Buffer into(pair.initiator, count * each, both_local, false), from(pair.target, count * each, both_remote);
  for (int round = 0; round < 3; round++) {
    fi_context2 cut[count], later[count];
    into.bytes[0] = static_cast<unsigned char>(~from.bytes[0]);
    for (size_t i = 0; i < count; i++) post_read(pair, into, from, i * each, each, &cut[i]);
    Result result;
    for (int i = 0; i < 1000000 && into.bytes[0] != from.bytes[0]; i++) {
      pair.initiator.poll(result);
      pair.target.poll(result);
    }
    assert_int_equal(into.bytes[0], from.bytes[0]);
    pair.initiator.close_endpoint();
    while (pair.initiator.poll(result)) {
    }
    pair.initiator.open_endpoint();
    pair.target.insert(pair.initiator.address());

    std::fill(into.bytes.begin(), into.bytes.end(), 0);
    for (size_t i = 0; i < count; i++) post_read(pair, into, from, i * each, little, &later[i]);
    std::set<void *> done;
    for (size_t i = 0; i < count; i++) {
      result = pair.initiator.next(&pair.target);
      assert_int_equal(result.error, 0);
      const auto which = static_cast<size_t>(static_cast<fi_context2 *>(result.context) - later);
      assert_true(which < count);
      assert_true(done.insert(result.context).second);
      assert_memory_equal(into.bytes.data() + which * each, from.bytes.data() + which * each, little);
    }
  }
}

void send__random_message__receive_completes_with_its_bytes_and_length(void **) {
  auto random = generator();
  Pair pair(fabric);
  size_t length = 1 + random() % 4000;
  Buffer from(pair.initiator, length, both_local), into(pair.target, 4096, both_local);
  fi_context2 sent, received;
  assert_int_equal(
      fi_recv(pair.target.ep, into.bytes.data(), into.bytes.size(), into.descriptor(), FI_ADDR_UNSPEC, &received), 0);

  assert_int_equal(fi_send(pair.initiator.ep, from.bytes.data(), length, from.descriptor(), pair.to_target, &sent), 0);

  Result at_sender, done;
  for (int tries = 0; tries < 1000000 && !(at_sender.context && done.context); tries++) {
    if (!at_sender.context) pair.initiator.poll(at_sender);
    if (!done.context) pair.target.poll(done);
  }
  assert_ptr_equal(at_sender.context, &sent);
  assert_int_equal(at_sender.error, 0);
  assert_ptr_equal(done.context, &received);
  assert_int_equal(done.length, length);
  assert_memory_equal(into.bytes.data(), from.bytes.data(), length);
}

constexpr size_t shared_size = 1 << 18;

struct Invitation {
  unsigned char address[64];
  uint64_t length, remote_address, key;
};

template <typename T>
void put(int socket, const T &value) {
  if (write(socket, &value, sizeof value) != static_cast<ssize_t>(sizeof value)) _exit(3);
}

template <typename T>
T get(int socket) {
  T value;
  if (recv(socket, &value, sizeof value, MSG_WAITALL) != static_cast<ssize_t>(sizeof value)) _exit(4);
  return value;
}

// The target in a process of its own: exit status 0 if its memory ends as the initiator's.
[[noreturn]] void be_target(int socket) {
  Node node(fabric);
  Buffer to(node, shared_size, both_remote);
  Invitation mine = {{}, 0, to.remote_address(0), to.key()};
  std::vector<unsigned char> name = node.address();
  memcpy(mine.address, name.data(), name.size());
  mine.length = name.size();
  put(socket, mine);
  auto theirs = get<Invitation>(socket);
  node.insert({theirs.address, theirs.address + theirs.length});
  put(socket, 'k');
  char word;
  Result unused;
  while (recv(socket, &word, 1, MSG_DONTWAIT) != 1) node.poll(unused);
  std::vector<unsigned char> expected(shared_size);
  if (recv(socket, expected.data(), expected.size(), MSG_WAITALL) != static_cast<ssize_t>(expected.size())) _exit(5);
  _exit(memcmp(expected.data(), to.bytes.data(), shared_size) == 0 ? 0 : 6);
}

void write__to_another_process__its_memory_holds_the_bytes(void **) {
  int sockets[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
  pid_t child = fork();
  if (child == 0) be_target(sockets[1]);
  close(sockets[1]);
  auto theirs = get<Invitation>(sockets[0]);
  Node node(fabric);
  Buffer from(node, shared_size, both_local);
  Invitation mine = {};
  std::vector<unsigned char> name = node.address();
  memcpy(mine.address, name.data(), name.size());
  mine.length = name.size();
  put(sockets[0], mine);
  get<char>(sockets[0]);
  fi_addr_t peer = node.insert({theirs.address, theirs.address + theirs.length});
  constexpr size_t parts = 16, part_size = shared_size / parts;
  fi_context2 contexts[parts];
  for (size_t i = 0; i < parts; i++) {
    iovec part = {from.bytes.data() + i * part_size, part_size};
    void *descriptor = from.descriptor();
    fi_rma_iov remote = {theirs.remote_address + i * part_size, part_size, theirs.key};
    fi_msg_rma message = {&part, &descriptor, 1, peer, &remote, 1, &contexts[i], 0};
    assert_int_equal(fi_writemsg(node.ep, &message, FI_COMPLETION | FI_DELIVERY_COMPLETE), 0);
  }
  for (size_t i = 0; i < parts; i++) {
    Result done = node.next();
    assert_non_null(done.context);
    assert_int_equal(done.error, 0);
  }
  put(sockets[0], 'd');
  assert_int_equal(write(sockets[0], from.bytes.data(), shared_size), shared_size);
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  close(sockets[0]);
}

}  // namespace

int main(int argc, char **argv) {
  fabric = argc > 1 ? argv[1] : "";
  const CMUnitTest tests[] = {
      // First: it forks, and libfabric does not live through a fork once it was used.
      cmocka_unit_test(write__to_another_process__its_memory_holds_the_bytes),
      cmocka_unit_test(getinfo__two_nics__pci_speed_and_names_are_those_of_the_device),
      cmocka_unit_test(write__random_sizes_and_offsets__target_holds_exactly_those_bytes),
      cmocka_unit_test(read__random_sizes_and_offsets__local_buffer_holds_exactly_those_bytes),
      cmocka_unit_test(send__random_message__receive_completes_with_its_bytes_and_length),
      cmocka_unit_test(close__in_the_midst_of_reads__those_of_the_next_endpoint_complete_once),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
