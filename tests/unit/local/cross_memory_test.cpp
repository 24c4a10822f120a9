// SPDX-License-Identifier: Apache-2.0
// Copies between two processes by the kernel: bytes, bounds, and whose fault is what.
#include "process.h"

#include "local/cross_memory.h"

#include <sys/syscall.h>
#include <sys/wait.h>

using namespace fixture;

namespace {

// Cuts `size` bytes at `base` into parts of random lengths, empty ones among them.
std::vector<iovec> cut(Seeded &random, std::byte *base, size_t size) {
  std::vector<iovec> parts;
  for (size_t at = 0; at < size;) {
    const size_t length = std::min<size_t>(random.between(0, 900), size - at);
    parts.push_back({base + at, length});
    at += length;
  }
  return parts;
}

CrossMemory probed(const Peer &peer) {
  Result<CrossMemory> memory = CrossMemory::probe(peer);
  if (!memory.is_ok()) {
    std::printf("SKIP: %s\n", memory.status().text.c_str());
    _skip(__FILE__, __LINE__);
  }
  return memory.take();
}

void cross_memory__random_lists_in_slices__copies_every_byte_both_ways(void **) {
  const Directory directory;
  const Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  Seeded random;
  const auto content = random.bytes(arena_size);
  auto sent = content;
  std::vector<std::byte> back(arena_size);
  arena.fill(std::byte{0});
  for (const bool reads : {false, true}) {
    std::byte *const ours = reads ? back.data() : sent.data();
    for (size_t at = 0; at < arena_size;) {
      const size_t slice = std::min<size_t>(random.between(1, 30000), arena_size - at);
      const auto local = cut(random, ours + at, arena_size - at);
      const auto remote = cut(random, arena.data() + at, arena_size - at);
      const Result<uint64_t> done = reads ? memory.read(local, remote, slice) : memory.write(local, remote, slice);
      assert_text(done.status().text, "");
      assert_int_equal(done.value(), slice);
      at += slice;
    }
  }
  assert_true(back == content);
  for (const std::byte byte : arena) assert_true(byte == std::byte{0});  // it was the other process's
}

void cross_memory__shorter_list__ends_the_copy(void **) {
  const Directory directory;
  const Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  std::array<std::byte, 100> room{};
  const iovec local{room.data(), room.size()}, remote{arena.data(), 60};
  assert_int_equal(memory.read({&local, 1}, {&remote, 1}, 1000).value(), 60);
  assert_true(room[59] == std::byte{0x77} && room[60] == std::byte{0});
  assert_int_equal(memory.read({&local, 1}, {}, 1000).value(), 0);
  assert_int_equal(memory.read({&local, 1}, {&remote, 1}, 0).value(), 0);
}

// Three pages; the middle one cannot be touched. In every process forked from here.
struct Gap {
  Gap() : page(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    void *const made = mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(made != MAP_FAILED);
    start = static_cast<std::byte *>(made);
    assert_int_equal(mprotect(start + page, page, PROT_NONE), 0);
  }
  ~Gap() { munmap(start, 3 * page); }
  const size_t page;
  std::byte *start = nullptr;
};

void cross_memory__no_memory_there__is_out_of_range_at_that_address(void **) {
  const Directory directory;
  const Gap gap;
  const Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  std::vector<std::byte> room(3 * gap.page);
  const iovec local{room.data(), room.size()}, remote{gap.start, room.size()};
  for (const bool reads : {true, false}) {
    const auto copy = [&](uint64_t limit) {
      return reads ? memory.read({&local, 1}, {&remote, 1}, limit) : memory.write({&local, 1}, {&remote, 1}, limit);
    };
    const Status status = copy(room.size()).status();
    assert_int_equal(status.code, PIRN_ERR_RANGE);
    assert_text(status.text, text("process_vm_%s: process %d has no memory at %p that may be %s",
                                  reads ? "readv" : "writev", two.owner.pid(), gap.start + gap.page,
                                  reads ? "read" : "written"));
    assert_int_equal(copy(gap.page).value(), gap.page);
  }
}

void cross_memory__no_memory_here__is_the_callers_fault(void **) {
  const Directory directory;
  const Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  const Gap gap;  // in this process only
  const iovec local{gap.start, 3 * gap.page}, remote{arena.data(), 3 * gap.page};
  for (const bool reads : {true, false}) {
    const Status status = reads ? memory.read({&local, 1}, {&remote, 1}, 3 * gap.page).status()
                                : memory.write({&local, 1}, {&remote, 1}, 3 * gap.page).status();
    assert_int_equal(status.code, PIRN_ERR_INVALID);
    assert_contains(status.text, text("this process has no memory at %p that may be %s", gap.start + gap.page,
                                      reads ? "written" : "read").c_str());
  }
}

// The kernel forbids it to another user's process; the peer itself cannot be one here, so this process becomes one.
void cross_memory__forbidden_by_the_kernel__says_so(void **) {
  const Directory directory;
  const Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  if (geteuid() != 0) {
    std::printf("SKIP: only root can become another user\n");
    _skip(__FILE__, __LINE__);
  }
  const pid_t child = fork();
  if (child == 0) {
    const bool changed = syscall(SYS_setresgid, 65534, 65534, 65534) == 0 &&
                         syscall(SYS_setresuid, 65534, 65534, 65534) == 0;
    std::array<std::byte, 100> room{};
    const iovec local{room.data(), room.size()}, remote{arena.data(), 100};
    const Status status = memory.write({&local, 1}, {&remote, 1}, 100).status();
    const bool said = status.code == PIRN_ERR_UNAVAILABLE &&
                      status.text.find("Operation not permitted") != std::string::npos;
    _exit(!changed ? 2 : said ? 0 : 1);
  }
  int ended = -1;
  assert_int_equal(waitpid(child, &ended, 0), child);
  assert_true(WIFEXITED(ended));
  assert_int_equal(WEXITSTATUS(ended), 0);
}

void address_handle__of_an_allocation__tells_where_a_chunk_begins(void **) {
  wire::ShareChunk chunk;
  chunk.allocation_offset = 77;
  assert_false(address_of(chunk).has_value());
  chunk.handles = {{wire::ShareHandleKind::host_file, 0, {}}, address_handle(arena.data())};
  assert_int_equal(address_of(chunk).value(), reinterpret_cast<uintptr_t>(arena.data() + 77));
  const uint64_t value = 0x0102030405060708;
  void *pointer;
  std::memcpy(&pointer, &value, sizeof pointer);
  const wire::ShareHandle handle = address_handle(pointer);
  for (size_t i = 0; i < 8; ++i) assert_int_equal(std::to_integer<size_t>(handle.bytes[i]), 8 - i);
}

void cross_memory__wrong_word_or_invisible_process__is_unavailable(void **) {
  const Directory directory;
  const Connected two(settings_for(directory.path()));
  (void)probed(two.peer());
  Peer liar = two.peer();
  liar.word.value += 1;
  assert_contains(CrossMemory::probe(liar).status().text, "does not hold the word");
  liar.word.address = 0;
  assert_contains(CrossMemory::probe(liar).status().text, "cannot read the peer's memory");
  liar = two.peer();
  liar.holder.pid = 0;
  assert_contains(CrossMemory::probe(liar).status().text, "not visible in this PID namespace");
  liar.holder.pid = getpid();  // another process than the one that told the word
  assert_int_equal(CrossMemory::probe(liar).status().code, PIRN_ERR_UNAVAILABLE);
}

void cross_memory__peer_killed__is_lost(void **) {
  const Directory directory;
  Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  two.owner.kill_it();
  std::array<std::byte, 100> room{};
  const iovec local{room.data(), room.size()}, remote{arena.data(), 100};
  assert_int_equal(memory.read({&local, 1}, {&remote, 1}, 100).status().code, PIRN_ERR_PEER_LOST);
  assert_int_equal(memory.write({&local, 1}, {&remote, 1}, 100).status().code, PIRN_ERR_PEER_LOST);
  assert_int_equal(CrossMemory::probe(two.peer()).status().code, PIRN_ERR_UNAVAILABLE);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(cross_memory__random_lists_in_slices__copies_every_byte_both_ways),
      cmocka_unit_test(cross_memory__shorter_list__ends_the_copy),
      cmocka_unit_test(cross_memory__no_memory_there__is_out_of_range_at_that_address),
      cmocka_unit_test(cross_memory__no_memory_here__is_the_callers_fault),
      cmocka_unit_test(cross_memory__forbidden_by_the_kernel__says_so),
      cmocka_unit_test(address_handle__of_an_allocation__tells_where_a_chunk_begins),
      cmocka_unit_test(cross_memory__wrong_word_or_invisible_process__is_unavailable),
      cmocka_unit_test(cross_memory__peer_killed__is_lost),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
