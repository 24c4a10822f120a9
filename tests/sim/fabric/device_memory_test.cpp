// SPDX-License-Identifier: Apache-2.0
// Device memory (of the fake CUDA driver) registered with simulated NICs: bytes, and every rule.
#include "fake_driver.h"
#include "node.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace pirn::sim_nic;

namespace {

constexpr uint64_t dma_buf_flag = uint64_t{1} << 40;
constexpr size_t page = 4096;

struct DmaBuf {
  int fd;
  uint64_t offset;
  size_t length;
  void *base;
};

const Node::Options for_devices = [] {
  Node::Options options;
  options.device_memory = true;
  return options;
}();

// Plain memory of device 1, readied for NICs.
struct Memory {
  explicit Memory(size_t size, bool ordered = true) : length(size) {
    assert_int_equal(cuMemAlloc_v2(&address, size), 0);
    const unsigned on = 1;
    if (ordered) assert_int_equal(cuPointerSetAttribute(&on, 6, address), 0);
  }
  ~Memory() { cuMemFree_v2(address); }
  Memory(const Memory &) = delete;
  void put(const std::vector<unsigned char> &bytes) const {
    assert_int_equal(cuMemcpy(address, reinterpret_cast<CUpointer>(bytes.data()), bytes.size()), 0);
  }
  std::vector<unsigned char> get() const {
    std::vector<unsigned char> bytes(length);
    assert_int_equal(cuMemcpy(reinterpret_cast<CUpointer>(bytes.data()), address, length), 0);
    return bytes;
  }
  void *at(size_t offset) const { return reinterpret_cast<void *>(address + offset); }

  CUpointer address = 0;
  size_t length;
};

fi_mr_attr attributes(fi_hmem_iface interface, int device, uint64_t access) {
  static uint64_t keys = 500000;
  fi_mr_attr attr = {};
  attr.iov_count = 1;
  attr.access = access;
  attr.requested_key = keys++;
  attr.iface = interface;
  attr.device.cuda = device;
  return attr;
}

int by_interface(Node &node, void *address, size_t length, fi_hmem_iface interface, int device, fid_mr **mr) {
  iovec part = {address, length};
  fi_mr_attr attr = attributes(interface, device, both_local | both_remote);
  attr.mr_iov = &part;
  return fi_mr_regattr(node.domain, &attr, 0, mr);
}

int by_dma_buf(Node &node, DmaBuf part, fi_hmem_iface interface, fid_mr **mr) {
  // Room for what newer libfabrics have behind the structure's end.
  struct {
    fi_mr_attr attr;
    char tail[128];
  } grown = {attributes(interface, 1, both_local | both_remote), {}};
  grown.attr.mr_iov = reinterpret_cast<const iovec *>(&part);
  return fi_mr_regattr(node.domain, &grown.attr, dma_buf_flag, mr);
}

// The whole of it, as the driver exports it.
DmaBuf exported(const Memory &memory) {
  DmaBuf part = {-1, 0, memory.length, memory.at(0)};
  assert_int_equal(cuMemGetHandleForAddressRange(&part.fd, memory.address, (memory.length + page - 1) / page * page, 1, 0), 0);
  return part;
}

// One registration of all of the memory, bound and enabled where that is asked for.
struct Registered {
  Registered(Node &owner, const Memory &of, bool dma_buf) : node(owner), memory(of) {
    if (dma_buf) {
      DmaBuf part = exported(of);
      assert_int_equal(by_dma_buf(owner, part, FI_HMEM_CUDA, &mr), 0);
      close(part.fd);  // the registration keeps the memory
    } else {
      assert_int_equal(by_interface(owner, of.at(0), of.length, FI_HMEM_CUDA, 1, &mr), 0);
    }
    if (!(owner.info->domain_attr->mr_mode & FI_MR_ENDPOINT)) return;
    assert_int_equal(fi_mr_bind(mr, &owner.ep->fid, 0), 0);
    assert_int_equal(fi_mr_enable(mr), 0);
  }
  ~Registered() { fi_close(&mr->fid); }
  Registered(const Registered &) = delete;
  uint64_t remote_address(size_t offset) const {
    return (node.info->domain_attr->mr_mode & FI_MR_VIRT_ADDR) ? memory.address + offset : offset;
  }

  Node &node;
  const Memory &memory;
  fid_mr *mr = nullptr;
};

std::vector<unsigned char> random_bytes(size_t size) {
  static std::mt19937_64 random = generator();
  std::vector<unsigned char> bytes(size);
  for (auto &byte : bytes) byte = static_cast<unsigned char>(random());
  return bytes;
}

void move_random_parts(const char *fabric, bool from_dma_buf, bool to_dma_buf) {
  constexpr size_t size = (1 << 20) + 24;
  std::mt19937_64 random = generator();
  Pair pair(fabric, for_devices);
  Memory from(size), to(size);
  std::vector<unsigned char> source = random_bytes(size), expected = random_bytes(size);
  from.put(source);
  to.put(expected);
  Registered here(pair.initiator, from, from_dma_buf), there(pair.target, to, to_dma_buf);
  fi_context2 context;
  for (int i = 0; i < 12; i++) {
    const size_t length = i == 0 ? 8 : 1 + random() % (size / 2);
    const size_t at = random() % (size - length), target = random() % (size - length);
    const bool write = i % 2 == 0;
    iovec part = {from.at(at), length};
    void *descriptor = fi_mr_desc(here.mr);
    fi_rma_iov remote = {there.remote_address(target), length, fi_mr_key(there.mr)};
    fi_msg_rma message = {&part, &descriptor, 1, pair.to_target, &remote, 1, &context, 0};
    assert_int_equal(write ? fi_writemsg(pair.initiator.ep, &message, FI_COMPLETION | FI_DELIVERY_COMPLETE)
                           : fi_readmsg(pair.initiator.ep, &message, FI_COMPLETION), 0);
    Result done = pair.initiator.next(&pair.target, 20000);
    assert_ptr_equal(done.context, &context);
    assert_int_equal(done.error, 0);
    if (write) std::copy_n(source.begin() + static_cast<long>(at), length, expected.begin() + static_cast<long>(target));
    else std::copy_n(expected.begin() + static_cast<long>(target), length, source.begin() + static_cast<long>(at));
  }
  assert_true(from.get() == source);
  assert_true(to.get() == expected);
}

void device_memory__random_parts_by_each_way__arrive(void **) {
  setenv("PIRN_SIM_HMEM", "both", 1);
  for (const char *fabric : {"efa", "efa-direct", "cxi"}) {
    move_random_parts(fabric, false, true);
    move_random_parts(fabric, true, false);
  }
}

void getinfo__device_memory__only_where_it_is_taken_and_descriptors_are_given(void **) {
  setenv("PIRN_SIM_HMEM", "none", 1);
  assert_null(find("cxi", every_mr_mode, FI_CONTEXT | FI_CONTEXT2, FI_HMEM));
  setenv("PIRN_SIM_HMEM", "iface", 1);
  assert_null(find("cxi", every_mr_mode & ~FI_MR_HMEM, FI_CONTEXT | FI_CONTEXT2, FI_HMEM));
  fi_info *info = find("cxi", every_mr_mode, FI_CONTEXT | FI_CONTEXT2, FI_HMEM);
  assert_non_null(info);
  assert_true((info->caps & FI_HMEM) && (info->domain_attr->mr_mode & FI_MR_HMEM));
  fi_freeinfo(info);
  setenv("PIRN_SIM_HMEM", "none,iface", 1);  // of two rails the second
  info = find("cxi", every_mr_mode, FI_CONTEXT | FI_CONTEXT2, FI_HMEM);
  assert_non_null(info);
  assert_string_equal(info->domain_attr->name, "cxi1");
  assert_null(info->next);
  fi_freeinfo(info);
}

// Refused with -FI_EINVAL, and told.
#define CHECK_BROKEN(call, words)            \
  do {                                       \
    Captured captured;                       \
    const auto rc = call;                    \
    const bool told = captured.contains(words); \
    assert_int_equal(rc, -FI_EINVAL);        \
    assert_true(told);                       \
  } while (0)

void register__device_memory_as_what_it_is_not__is_refused(void **) {
  setenv("PIRN_SIM_HMEM", "both", 1);
  Node plain_node("efa"), node("efa", for_devices);
  Memory memory(3 * page), unordered(page, false);
  std::vector<unsigned char> host(page);
  fid_mr *mr = nullptr;
  for (Node *each : {&plain_node, &node})
    CHECK_BROKEN(by_interface(*each, memory.at(8), 64, FI_HMEM_SYSTEM, 0, &mr), "as system memory");
  CHECK_BROKEN(by_interface(node, memory.at(8), 64, FI_HMEM_CUDA, 0, &mr), "memory of device 1 registered as that of 0");
  CHECK_BROKEN(by_interface(node, host.data(), 64, FI_HMEM_CUDA, 1, &mr), "registered as CUDA's that is none");
  CHECK_BROKEN(by_interface(node, unordered.at(0), page, FI_HMEM_CUDA, 1, &mr), "SYNC_MEMOPS");
  assert_int_equal(by_interface(plain_node, memory.at(0), page, FI_HMEM_CUDA, 1, &mr), -FI_ENOSYS);
  assert_int_equal(by_interface(node, memory.at(0), page, FI_HMEM_ROCR, 1, &mr), -FI_ENOSYS);
  assert_int_equal(by_interface(node, memory.at(0), 100 * page, FI_HMEM_CUDA, 1, &mr), -FI_EINVAL);
}

void register__dma_buf_that_is_not_the_memory__is_refused(void **) {
  setenv("PIRN_SIM_HMEM", "dmabuf", 1);
  Node node("efa", for_devices);
  Memory memory(3 * page), other(3 * page);
  fid_mr *mr = nullptr;
  const DmaBuf right = exported(memory), others = exported(other);
  DmaBuf part = right;
  CHECK_BROKEN(by_dma_buf(node, part, FI_HMEM_SYSTEM, &mr), "as system memory");
  part.offset = page;
  part.base = memory.at(0);
  part.length = 2 * page;
  assert_int_equal(by_dma_buf(node, part, FI_HMEM_CUDA, &mr), 0);
  fi_close(&mr->fid);
  part.fd = others.fd;
  CHECK_BROKEN(by_dma_buf(node, part, FI_HMEM_CUDA, &mr), "of other memory");
  part = right;
  assert_int_equal(cuMemGetHandleForAddressRange(&part.fd, memory.address, page, 1, 0), 0);  // of the first page only
  CHECK_BROKEN(by_dma_buf(node, part, FI_HMEM_CUDA, &mr), "bytes at offset 0 of a dma-buf of 4096");
  close(part.fd);
  assert_int_equal(by_interface(node, memory.at(0), page, FI_HMEM_CUDA, 1, &mr), -FI_ENOSYS);  // the rail has one way
  close(right.fd);
  close(others.fd);
}

void register__more_than_the_domain_takes__is_refused_until_some_is_given_back(void **) {
  setenv("PIRN_SIM_HMEM", "iface", 1);
  setenv("PIRN_SIM_HMEM_LIMIT", "8192", 1);
  Node node("efa", for_devices);
  Memory memory(3 * page);
  fid_mr *first = nullptr, *second = nullptr;
  assert_int_equal(by_interface(node, memory.at(0), 2 * page, FI_HMEM_CUDA, 1, &first), 0);
  assert_int_equal(by_interface(node, memory.at(0), 1, FI_HMEM_CUDA, 1, &second), -FI_ENOMEM);
  fi_close(&first->fid);
  assert_int_equal(by_interface(node, memory.at(0), 1, FI_HMEM_CUDA, 1, &second), 0);
  fi_close(&second->fid);
  unsetenv("PIRN_SIM_HMEM_LIMIT");
}

void write__device_memory_without_descriptor_or_injected__is_refused(void **) {
  setenv("PIRN_SIM_HMEM", "both", 1);
  Pair pair("efa", for_devices);
  Memory memory(page);
  Registered here(pair.initiator, memory, false);
  iovec part = {memory.at(0), 8};
  void *none = nullptr, *right = fi_mr_desc(here.mr);
  fi_rma_iov remote = {memory.address, 8, 1};
  fi_context2 context;
  fi_msg_rma message = {&part, &none, 1, pair.to_target, &remote, 1, &context, 0};
  CHECK_BROKEN(fi_writemsg(pair.initiator.ep, &message, FI_COMPLETION), "device memory without descriptor");
  message.desc = &right;
  CHECK_BROKEN(fi_writemsg(pair.initiator.ep, &message, FI_COMPLETION | FI_INJECT), "device memory injected");
  CHECK_BROKEN(fi_inject_write(pair.initiator.ep, memory.at(0), 8, pair.to_target, memory.address, 1), "device memory injected");
}

}  // namespace

int main() {
  void *context = nullptr;
  if (cuInit(0) != 0 || cuDevicePrimaryCtxRetain(&context, 1) != 0 || cuCtxSetCurrent(context) != 0) return 1;
  const CMUnitTest tests[] = {
      cmocka_unit_test(device_memory__random_parts_by_each_way__arrive),
      cmocka_unit_test(getinfo__device_memory__only_where_it_is_taken_and_descriptors_are_given),
      cmocka_unit_test(register__device_memory_as_what_it_is_not__is_refused),
      cmocka_unit_test(register__dma_buf_that_is_not_the_memory__is_refused),
      cmocka_unit_test(register__more_than_the_domain_takes__is_refused_until_some_is_given_back),
      cmocka_unit_test(write__device_memory_without_descriptor_or_injected__is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
