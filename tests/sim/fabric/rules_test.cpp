// SPDX-License-Identifier: Apache-2.0
// What a simulated NIC refuses: one test per rule. Each broken rule is an error and a line on stderr.
#include "node.h"

#include <cstring>

using namespace pirn::sim_nic;

namespace {

constexpr size_t size = 4096;

// Posts a write that the target's NIC must refuse.
Result refused_write(Pair &pair, Buffer &from, Buffer &to, uint64_t address, uint64_t key) {
  std::vector<unsigned char> before = to.bytes;
  static fi_context2 context;
  assert_int_equal(pair.write(from, 0, 64, address, key, &context), 0);
  Result done = pair.initiator.next(&pair.target);
  assert_ptr_equal(done.context, &context);
  assert_memory_equal(to.bytes.data(), before.data(), before.size());
  return done;
}

void cxi_getinfo__without_endpoint_registrations__offers_nothing(void **) {
  assert_null(find("cxi", every_mr_mode & ~FI_MR_ENDPOINT));
}

void efa_getinfo__without_virtual_addresses__offers_nothing(void **) {
  assert_null(find("efa", every_mr_mode & ~FI_MR_VIRT_ADDR));
}

void efa_direct_getinfo__without_local_descriptors_or_context2__offers_nothing(void **) {
  assert_null(find("efa-direct", every_mr_mode & ~FI_MR_LOCAL));
  assert_null(find("efa-direct", every_mr_mode, FI_CONTEXT));
  fi_info *efa = find("efa", every_mr_mode & ~FI_MR_LOCAL, 0);
  assert_non_null(efa);
  fi_freeinfo(efa);
}

void cxi_key__before_the_registration_is_enabled__is_not_available(void **) {
  Node node("cxi");
  Buffer buffer(node, size, both_remote, false);
  assert_true(buffer.key() == FI_KEY_NOTAVAIL);
  buffer.make_ready();
  assert_true(buffer.key() != FI_KEY_NOTAVAIL);
}

void cxi_enable__of_a_registration_not_bound__is_refused(void **) {
  Node node("cxi");
  Buffer buffer(node, size, both_remote, false);
  Captured captured;
  int rc = fi_mr_enable(buffer.mr);
  bool told = captured.contains("not bound to an endpoint");
  assert_int_equal(rc, -FI_EINVAL);
  assert_true(told);
}

void cxi_bind__to_an_endpoint_not_enabled__is_refused(void **) {
  Node node("cxi");
  Buffer buffer(node, size, both_remote, false);
  fid_ep *other = nullptr;
  assert_int_equal(fi_endpoint(node.domain, node.info, &other, nullptr), 0);
  Captured captured;
  int rc = fi_mr_bind(buffer.mr, &other->fid, 0);
  bool told = captured.contains("endpoint that is not enabled");
  assert_int_equal(rc, -FI_EOPBADSTATE);
  assert_true(told);
  assert_int_equal(fi_close(&other->fid), 0);
}

void cxi_close__of_an_endpoint_with_registrations__is_refused(void **) {
  Node node("cxi");
  Buffer buffer(node, size, both_remote);
  Captured captured;
  int rc = fi_close(&node.ep->fid);
  bool told = captured.contains("registrations bound to it");
  assert_int_equal(rc, -FI_EBUSY);
  assert_true(told);
}

void cxi_write__key_of_another_endpoint_of_the_domain__is_an_error(void **) {
  Pair pair("cxi");
  Node other("cxi");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote), elsewhere(other, size, both_remote);
  Result done = refused_write(pair, from, to, 0, elsewhere.key());
  assert_int_equal(done.error, FI_EIO);
}

void cxi_register__chosen_key_wider_than_four_bytes__is_refused(void **) {
  Node::Options options;
  options.mr_mode = every_mr_mode & ~FI_MR_PROV_KEY;
  Node node("cxi", options);
  unsigned char byte[16];
  fid_mr *mr = nullptr;
  Captured captured;
  int rc = fi_mr_reg(node.domain, byte, sizeof byte, both_remote, 0, uint64_t{1} << 32, 0, &mr, nullptr);
  bool told = captured.contains("wider than 4 bytes");
  assert_int_equal(rc, -FI_EKEYREJECTED);
  assert_true(told);
}

void cxi_write__two_local_parts__is_refused(void **) {
  Pair pair("cxi");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote);
  iovec parts[2] = {{from.bytes.data(), 8}, {from.bytes.data() + 8, 8}};
  void *descriptors[2] = {from.descriptor(), from.descriptor()};
  fi_context2 context;
  Captured captured;
  ssize_t rc = fi_writev(pair.initiator.ep, parts, descriptors, 2, pair.to_target, 0, to.key(), &context);
  bool told = captured.contains("2 local parts; 1 are allowed");
  assert_int_equal(rc, -FI_EINVAL);
  assert_true(told);
}

void cxi_writedata__is_not_implemented(void **) {
  Pair pair("cxi");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote);
  fi_context2 context;
  Captured captured;
  ssize_t rc = fi_writedata(pair.initiator.ep, from.bytes.data(), 8, from.descriptor(), 7, pair.to_target, 0, to.key(),
                            &context);
  bool told = captured.contains("remote completion data");
  assert_int_equal(rc, -FI_ENOSYS);
  assert_true(told);
}

void cxi_write__virtual_address_instead_of_offset__is_an_error(void **) {
  Pair pair("cxi");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote);
  Result done = refused_write(pair, from, to, reinterpret_cast<uint64_t>(to.bytes.data()), to.key());
  assert_int_equal(done.error, FI_EIO);
}

void efa_direct_write__without_descriptor__is_refused(void **) {
  Pair pair("efa-direct");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote);
  fi_context2 context;
  Captured captured;
  ssize_t rc = fi_write(pair.initiator.ep, from.bytes.data(), 8, nullptr, pair.to_target, to.remote_address(0), to.key(),
                        &context);
  bool told = captured.contains("without descriptor");
  assert_int_equal(rc, -FI_EINVAL);
  assert_true(told);
}

void efa_direct_write__buffer_beyond_its_registration__is_refused(void **) {
  Pair pair("efa-direct");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote);
  fi_context2 context;
  Captured captured;
  ssize_t rc = pair.write(from, size - 8, 9, to.remote_address(0), to.key(), &context);
  bool told = captured.contains("outside the registration");
  assert_int_equal(rc, -FI_EINVAL);
  assert_true(told);
}

void efa_direct_write__target_has_not_inserted_the_initiator__is_unknown_peer(void **) {
  Pair pair("efa-direct", Node::Options(), false);
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote);
  Captured captured;
  Result done = refused_write(pair, from, to, to.remote_address(0), to.key());
  bool told = captured.contains("before the target has inserted the initiator");
  assert_int_equal(done.error, FI_ENOTCONN);
  assert_int_equal(done.provider_error, 14);
  assert_true(told);
}

// Nobody can keep a peer from leaving while an operation to it is on its way.
void efa_direct_write__target_has_removed_the_initiator__fails_but_breaks_no_rule(void **) {
  Pair pair("efa-direct");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote);
  assert_int_equal(fi_av_remove(pair.target.av, &pair.to_initiator, 1, 0), 0);
  Captured captured;
  Result done = refused_write(pair, from, to, to.remote_address(0), to.key());
  bool told = captured.contains("pirn-sim");
  assert_int_equal(done.error, FI_ENOTCONN);
  assert_int_equal(done.provider_error, 14);
  assert_false(told);
}

void efa_direct_write__more_than_one_gib__is_too_long(void **) {
  Pair pair("efa-direct");
  constexpr size_t too_long = (size_t{1} << 30) + 1;
  fid_mr *mr = nullptr;
  unsigned char anchor[8];
  assert_int_equal(fi_mr_reg(pair.initiator.domain, anchor, too_long, both_local, 0, 0, 0, &mr, nullptr), 0);
  fi_context2 context;
  Captured captured;
  ssize_t rc = fi_write(pair.initiator.ep, anchor, too_long, fi_mr_desc(mr), pair.to_target, 0, 1, &context);
  bool told = captured.contains("1073741824 are the limit");
  assert_int_equal(rc, -FI_EMSGSIZE);
  assert_true(told);
  assert_int_equal(fi_close(&mr->fid), 0);
}

void efa_direct_write__context_written_to_in_flight__is_noticed(void **) {
  Pair pair("efa-direct");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, both_remote);
  fi_context2 context;
  Captured captured;
  ssize_t rc = pair.write(from, 0, 64, to.remote_address(0), to.key(), &context);
  memset(&context, 0, sizeof context);
  Result done = pair.initiator.next(&pair.target);
  bool told = captured.contains("a context (64 bytes, FI_CONTEXT2) was written to");
  assert_int_equal(rc, 0);
  assert_int_equal(done.error, 0);
  assert_true(told);
}

void efa_write__key_that_grants_reading_only__is_an_error(void **) {
  Pair pair("efa");
  Buffer from(pair.initiator, size, both_local), to(pair.target, size, FI_REMOTE_READ);
  Result done = refused_write(pair, from, to, to.remote_address(0), to.key());
  assert_int_equal(done.error, FI_EINVAL);
  assert_int_equal(done.provider_error, 7);
}

void efa_post__more_than_the_queue_holds__is_refused(void **) {
  Node::Options options;
  options.queue_size = 2;
  Pair pair("efa", options);
  Buffer into(pair.target, size, both_local);
  fi_context2 contexts[3];
  Captured captured;
  ssize_t rc[3];
  for (int i = 0; i < 3; i++)
    rc[i] = fi_recv(pair.target.ep, into.bytes.data(), 8, into.descriptor(), FI_ADDR_UNSPEC, &contexts[i]);
  bool told = captured.contains("it can overrun");
  assert_int_equal(rc[0], 0);
  assert_int_equal(rc[1], 0);
  assert_int_equal(rc[2], -FI_ENOSPC);
  assert_true(told);
}

void efa_name__of_a_closed_endpoint__is_not_given_again(void **) {
  Node node("efa");
  auto before = node.address();
  void *name = before.data();
  assert_int_equal(fi_setname(&node.ep->fid, name, before.size()), -FI_ENOSYS);
}

void write__to_an_endpoint_that_was_closed__is_unreachable(void **) {
  for (const char *fabric : {"efa", "cxi"}) {
    Pair pair(fabric);
    Buffer from(pair.initiator, size, both_local);
    pair.target.close_endpoint();
    fi_context2 context;
    assert_int_equal(pair.write(from, 0, 8, 0, 1, &context), 0);
    Result done = pair.initiator.next();
    assert_ptr_equal(done.context, &context);
    assert_int_equal(done.error, strcmp(fabric, "cxi") == 0 ? FI_EHOSTUNREACH : FI_ECONNABORTED);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(cxi_getinfo__without_endpoint_registrations__offers_nothing),
      cmocka_unit_test(efa_getinfo__without_virtual_addresses__offers_nothing),
      cmocka_unit_test(efa_direct_getinfo__without_local_descriptors_or_context2__offers_nothing),
      cmocka_unit_test(cxi_key__before_the_registration_is_enabled__is_not_available),
      cmocka_unit_test(cxi_enable__of_a_registration_not_bound__is_refused),
      cmocka_unit_test(cxi_bind__to_an_endpoint_not_enabled__is_refused),
      cmocka_unit_test(cxi_close__of_an_endpoint_with_registrations__is_refused),
      cmocka_unit_test(cxi_write__key_of_another_endpoint_of_the_domain__is_an_error),
      cmocka_unit_test(cxi_register__chosen_key_wider_than_four_bytes__is_refused),
      cmocka_unit_test(cxi_write__two_local_parts__is_refused),
      cmocka_unit_test(cxi_writedata__is_not_implemented),
      cmocka_unit_test(cxi_write__virtual_address_instead_of_offset__is_an_error),
      cmocka_unit_test(efa_direct_write__without_descriptor__is_refused),
      cmocka_unit_test(efa_direct_write__buffer_beyond_its_registration__is_refused),
      cmocka_unit_test(efa_direct_write__target_has_not_inserted_the_initiator__is_unknown_peer),
      cmocka_unit_test(efa_direct_write__target_has_removed_the_initiator__fails_but_breaks_no_rule),
      cmocka_unit_test(efa_direct_write__more_than_one_gib__is_too_long),
      cmocka_unit_test(efa_direct_write__context_written_to_in_flight__is_noticed),
      cmocka_unit_test(efa_write__key_that_grants_reading_only__is_an_error),
      cmocka_unit_test(efa_post__more_than_the_queue_holds__is_refused),
      cmocka_unit_test(efa_name__of_a_closed_endpoint__is_not_given_again),
      cmocka_unit_test(write__to_an_endpoint_that_was_closed__is_unreachable),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
