// SPDX-License-Identifier: Apache-2.0
// The simulated verbs NIC at its connections: bytes, connection events, and one test per rule.
#include "verbs_node.h"

#include <algorithm>
#include <cstring>

using namespace pirn::sim_nic;

namespace {

constexpr size_t size = 4096;
// enum ibv_wc_status
constexpr int local_length = 1, local_protection = 4, flushed = 5, remote_access = 10;

void getinfo__without_local_descriptors_or_virtual_addresses__offers_nothing(void **) {
  assert_null(find_connected(every_mr_mode & ~FI_MR_LOCAL));
  assert_null(find_connected(every_mr_mode & ~FI_MR_VIRT_ADDR));
  assert_null(find_connected(every_mr_mode & ~FI_MR_PROV_KEY));
}

void getinfo__with_delivery_complete__offers_nothing(void **) {
  assert_null(find_connected(every_mr_mode, FI_DELIVERY_COMPLETE));
}

void getinfo__two_nics__attributes_are_those_of_the_provider(void **) {
  fi_info *info = find_connected();
  assert_non_null(info);
  assert_non_null(info->next);
  assert_null(info->next->next);
  assert_string_equal(info->domain_attr->name, "mlx5_0");
  assert_string_equal(info->next->domain_attr->name, "mlx5_1");
  assert_int_equal(info->addr_format, FI_SOCKADDR_IN);
  assert_int_equal(info->ep_attr->protocol, FI_PROTO_RDMA_CM_IB_RC);
  assert_int_equal(info->ep_attr->max_msg_size, 1 << 30);
  assert_int_equal(info->domain_attr->mr_key_size, 4);
  assert_int_equal(info->domain_attr->cq_data_size, 4);
  assert_int_equal(info->tx_attr->rma_iov_limit, 1);
  assert_int_equal(info->nic->link_attr->speed, 400000000000);
  assert_int_not_equal(info->nic->bus_attr->attr.pci.bus_id, info->next->nic->bus_attr->attr.pci.bus_id);
  fi_freeinfo(info);
}

void write_and_read__random_sizes_and_offsets__bytes_are_exact(void **) {
  auto random = generator();
  Link link;
  link.connect();
  Memory here(link.initiator, 1 << 20, both_local), there(link.target, 1 << 20, both_remote);
  for (int i = 0; i < 60; i++) {
    std::vector<unsigned char> expected_here = here.bytes, expected_there = there.bytes;
    size_t length = 1 + random() % (i % 8 ? 5000 : 300000);
    size_t at = random() % (here.bytes.size() - length), to = random() % (there.bytes.size() - length);
    fi_context2 context;
    if (i % 2) {
      memcpy(&expected_there[to], &here.bytes[at], length);
      assert_int_equal(link.write(here, at, length, there.address(to), there.key(), &context), 0);
    } else {
      memcpy(&expected_here[at], &there.bytes[to], length);
      assert_int_equal(fi_read(link.initiator.ep, &here.bytes[at], length, here.descriptor(), 0, there.address(to),
                               there.key(), &context),
                       0);
    }
    Result done = link.next(link.initiator);
    assert_ptr_equal(done.context, &context);
    assert_int_equal(done.error, 0);
    assert_memory_equal(here.bytes.data(), expected_here.data(), expected_here.size());
    assert_memory_equal(there.bytes.data(), expected_there.data(), expected_there.size());
  }
}

void connect__with_data_both_ways__each_side_gets_the_others(void **) {
  Link link;
  link.connect("a question", "an answer");
}

void connect__rejected__initiator_hears_of_it_with_the_data(void **) {
  Link link;
  ConnectionEvent request = link.call("please");
  assert_int_equal(fi_reject(link.listener, request.info->handle, "never", 5), 0);
  fi_freeinfo(request.info);
  ConnectionEvent heard = link.next_event(link.initiator);
  assert_int_equal(heard.error, FI_ECONNREFUSED);
  assert_ptr_equal(heard.object, &link.initiator.ep->fid);
  assert_string_equal(heard.data.c_str(), "never");
}

void connect__more_data_than_the_connection_manager_carries__is_refused(void **) {
  Link link;
  link.initiator.open_endpoint(link.initiator.info);
  char address[16] = {}, data[57] = {};
  Captured captured;
  int rc = fi_connect(link.initiator.ep, address, data, sizeof data);
  bool told = captured.contains("57 bytes of connection data; 56 are carried");
  assert_int_equal(rc, -FI_EINVAL);
  assert_true(told);
}

void write__before_the_connection_stands__is_refused(void **) {
  Link link;
  link.initiator.open_endpoint(link.initiator.info);
  Memory here(link.initiator, size, both_local);
  fi_context2 context;
  Captured captured;
  ssize_t rc = link.write(here, 0, 8, 0, 1, &context);
  bool told = captured.contains("not connected");
  assert_int_equal(rc, -FI_EINVAL);
  assert_true(told);
}

// Posts something that must fail; the target's memory stays as it is, the connection ends for both sides.
template <typename Post>
void failing(Link &link, const Memory &there, int status, Post post) {
  std::vector<unsigned char> before = there.bytes;
  fi_context2 contexts[2];
  assert_int_equal(post(&contexts[0]), 0);
  Result done = link.next(link.initiator);
  assert_ptr_equal(done.context, &contexts[0]);
  assert_int_equal(done.error, FI_EIO);
  assert_int_equal(done.provider_error, status);
  assert_memory_equal(there.bytes.data(), before.data(), before.size());

  assert_int_equal(post(&contexts[1]), 0);
  Result after = link.next(link.initiator);
  assert_ptr_equal(after.context, &contexts[1]);
  assert_int_equal(after.error, FI_ECANCELED);
  assert_int_equal(after.provider_error, flushed);
  assert_int_equal(link.next_event(link.initiator).event, FI_SHUTDOWN);
  assert_int_equal(link.next_event(link.target).event, FI_SHUTDOWN);
}

void write__unknown_key__is_remote_access_error_and_ends_the_connection(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, both_remote);
  failing(link, there, remote_access,
          [&](void *context) { return link.write(here, 0, 64, there.address(0), there.key() + 1, context); });
  assert_string_equal(fi_cq_strerror(link.initiator.cq, remote_access, nullptr, nullptr, 0), "remote access error");
}

void write__beyond_the_registration__is_remote_access_error(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, both_remote);
  failing(link, there, remote_access,
          [&](void *context) { return link.write(here, 0, 64, there.address(size - 63), there.key(), context); });
}

void write__key_that_grants_reading_only__is_remote_access_error(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, FI_REMOTE_READ);
  failing(link, there, remote_access,
          [&](void *context) { return link.write(here, 0, 64, there.address(0), there.key(), context); });
}

void read__key_that_grants_writing_only__is_remote_access_error(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, FI_REMOTE_WRITE);
  failing(link, there, remote_access, [&](void *context) {
    return fi_read(link.initiator.ep, here.bytes.data(), 8, here.descriptor(), 0, there.address(0), there.key(), context);
  });
}

void write__without_descriptor__is_local_protection_error(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, both_remote);
  Captured quiet;
  failing(link, there, local_protection, [&](void *context) {
    return fi_write(link.initiator.ep, here.bytes.data(), 8, nullptr, 0, there.address(0), there.key(), context);
  });
}

void write__beyond_the_local_registration__is_local_protection_error(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, both_remote);
  Captured quiet;
  failing(link, there, local_protection,
          [&](void *context) { return link.write(here, size - 8, 9, there.address(0), there.key(), context); });
}

void read__into_memory_that_only_others_may_read__is_local_protection_error(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, FI_REMOTE_READ | FI_SEND), there(link.target, size, both_remote);
  Captured quiet;
  failing(link, there, local_protection, [&](void *context) {
    return fi_read(link.initiator.ep, here.bytes.data(), 8, here.descriptor(), 0, there.address(0), there.key(), context);
  });
}

void write__more_than_one_gib__is_local_length_error(void **) {
  Link link;
  link.connect();
  constexpr size_t too_long = (size_t{1} << 30) + 1;
  Memory there(link.target, size, both_remote);
  fid_mr *mr = nullptr;
  unsigned char anchor[8];
  assert_int_equal(fi_mr_reg(link.initiator.domain, anchor, too_long, both_local, 0, 0, 0, &mr, nullptr), 0);
  {
    Captured quiet;
    failing(link, there, local_length, [&](void *context) {
      return fi_write(link.initiator.ep, anchor, too_long, fi_mr_desc(mr), 0, there.address(0), there.key(), context);
    });
  }
  assert_int_equal(fi_close(&mr->fid), 0);
}

void writes__one_in_the_middle_fails__those_before_complete_in_order_those_after_are_flushed(void **) {
  auto random = generator();
  constexpr size_t all = 24, part = 64;
  size_t bad = 1 + random() % (all - 2);
  Link link;
  link.connect();
  Memory here(link.initiator, all * part, both_local), there(link.target, all * part, both_remote);
  std::vector<unsigned char> expected = there.bytes;
  memcpy(expected.data(), here.bytes.data(), bad * part);
  fi_context2 contexts[all];
  for (size_t i = 0; i < all; i++)
    assert_int_equal(
        link.write(here, i * part, part, there.address(i * part), there.key() + (i == bad ? 1 : 0), &contexts[i]), 0);

  for (size_t i = 0; i < all; i++) {
    Result done = link.next(link.initiator);
    assert_ptr_equal(done.context, &contexts[i]);
    assert_int_equal(done.provider_error, i < bad ? 0 : i == bad ? remote_access : flushed);
  }
  assert_memory_equal(there.bytes.data(), expected.data(), expected.size());
}

void write_with_data(bool shared) {
  Link link(shared);
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, both_remote);
  Memory into(link.target, size, both_local);
  std::vector<unsigned char> untouched = into.bytes;
  fi_context2 contexts[2], receives[2];
  for (auto &receive : receives)
    assert_int_equal(link.target.receive(&receive, into.bytes.data(), size, into.descriptor()), 0);

  for (uint64_t i = 0; i < 2; i++)
    assert_int_equal(fi_writedata(link.initiator.ep, here.bytes.data(), 100 + i, here.descriptor(), 0xabcdef01 + i, 0,
                                  there.address(0), there.key(), &contexts[i]),
                     0);

  for (uint64_t i = 0; i < 2; i++) {
    Result arrived = link.next(link.target);
    assert_ptr_equal(arrived.context, &receives[i]);
    assert_int_equal(arrived.error, 0);
    assert_int_equal(arrived.flags, FI_RMA | FI_REMOTE_WRITE | FI_REMOTE_CQ_DATA);
    assert_int_equal(arrived.length, 100 + i);
    assert_int_equal(link.target.data, 0xabcdef01 + i);
    Result done = link.next(link.initiator);
    assert_ptr_equal(done.context, &contexts[i]);
    assert_int_equal(done.error, 0);
  }
  assert_memory_equal(there.bytes.data(), here.bytes.data(), 101);
  assert_memory_equal(into.bytes.data(), untouched.data(), size);
}

void writedata__each_consumes_a_posted_receive(void **) { write_with_data(false); }
void writedata__each_consumes_a_shared_receive(void **) { write_with_data(true); }

void writedata__no_receive_posted__waits_and_what_follows_waits_behind_it(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, both_remote);
  fi_context2 contexts[2], receive;
  assert_int_equal(fi_writedata(link.initiator.ep, here.bytes.data(), 8, here.descriptor(), 7, 0, there.address(0),
                                there.key(), &contexts[0]),
                   0);
  assert_int_equal(link.write(here, 8, 8, there.address(8), there.key(), &contexts[1]), 0);
  assert_null(link.next(link.initiator, 100).context);

  assert_int_equal(link.target.receive(&receive, nullptr, 0, nullptr), 0);

  assert_ptr_equal(link.next(link.target).context, &receive);
  assert_ptr_equal(link.next(link.initiator).context, &contexts[0]);
  assert_ptr_equal(link.next(link.initiator).context, &contexts[1]);
  assert_memory_equal(there.bytes.data(), here.bytes.data(), 16);
}

void send__shared_receive__holds_its_bytes(void **) {
  Link link(true);
  Memory here(link.initiator, size, both_local), into(link.target, size, both_local);
  fi_context2 sent, received;
  assert_int_equal(link.target.receive(&received, into.bytes.data(), size, into.descriptor()), 0);
  link.connect();
  assert_int_equal(fi_senddata(link.initiator.ep, here.bytes.data(), 1000, here.descriptor(), 0x80000001, 0, &sent), 0);
  Result arrived = link.next(link.target);
  assert_ptr_equal(arrived.context, &received);
  assert_int_equal(arrived.length, 1000);
  assert_int_equal(arrived.flags & (FI_RECV | FI_REMOTE_CQ_DATA), FI_RECV | FI_REMOTE_CQ_DATA);
  assert_int_equal(link.target.data, 0x80000001);
  assert_memory_equal(into.bytes.data(), here.bytes.data(), 1000);
  assert_ptr_equal(link.next(link.initiator).context, &sent);
}

void receive__posted_to_a_connection_with_shared_receives__is_refused(void **) {
  Link link(true);
  link.connect();
  Memory into(link.target, size, both_local);
  fi_context2 context;
  Captured captured;
  ssize_t rc = fi_recv(link.target.ep, into.bytes.data(), size, into.descriptor(), 0, &context);
  bool told = captured.contains("has a shared receive queue");
  assert_int_equal(rc, -FI_EINVAL);
  assert_true(told);
}

void shutdown__of_the_target__flushes_receives_and_later_operations(void **) {
  Link link;
  link.connect();
  Memory here(link.initiator, size, both_local), there(link.target, size, both_remote);
  fi_context2 receive, context;
  assert_int_equal(link.initiator.receive(&receive, here.bytes.data(), size, here.descriptor()), 0);
  link.target.close_endpoint();
  assert_int_equal(link.next_event(link.initiator).event, FI_SHUTDOWN);
  Result done = link.next(link.initiator);
  assert_ptr_equal(done.context, &receive);
  assert_int_equal(done.error, FI_ECANCELED);
  assert_int_equal(done.provider_error, flushed);
  assert_int_equal(link.write(here, 0, 8, there.address(0), there.key(), &context), 0);
  Result late = link.next(link.initiator);
  assert_ptr_equal(late.context, &context);
  assert_int_equal(late.provider_error, flushed);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(getinfo__without_local_descriptors_or_virtual_addresses__offers_nothing),
      cmocka_unit_test(getinfo__with_delivery_complete__offers_nothing),
      cmocka_unit_test(getinfo__two_nics__attributes_are_those_of_the_provider),
      cmocka_unit_test(write_and_read__random_sizes_and_offsets__bytes_are_exact),
      cmocka_unit_test(connect__with_data_both_ways__each_side_gets_the_others),
      cmocka_unit_test(connect__rejected__initiator_hears_of_it_with_the_data),
      cmocka_unit_test(connect__more_data_than_the_connection_manager_carries__is_refused),
      cmocka_unit_test(write__before_the_connection_stands__is_refused),
      cmocka_unit_test(write__unknown_key__is_remote_access_error_and_ends_the_connection),
      cmocka_unit_test(write__beyond_the_registration__is_remote_access_error),
      cmocka_unit_test(write__key_that_grants_reading_only__is_remote_access_error),
      cmocka_unit_test(read__key_that_grants_writing_only__is_remote_access_error),
      cmocka_unit_test(write__without_descriptor__is_local_protection_error),
      cmocka_unit_test(write__beyond_the_local_registration__is_local_protection_error),
      cmocka_unit_test(read__into_memory_that_only_others_may_read__is_local_protection_error),
      cmocka_unit_test(write__more_than_one_gib__is_local_length_error),
      cmocka_unit_test(writes__one_in_the_middle_fails__those_before_complete_in_order_those_after_are_flushed),
      cmocka_unit_test(writedata__each_consumes_a_posted_receive),
      cmocka_unit_test(writedata__each_consumes_a_shared_receive),
      cmocka_unit_test(writedata__no_receive_posted__waits_and_what_follows_waits_behind_it),
      cmocka_unit_test(send__shared_receive__holds_its_bytes),
      cmocka_unit_test(receive__posted_to_a_connection_with_shared_receives__is_refused),
      cmocka_unit_test(shutdown__of_the_target__flushes_receives_and_later_operations),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
