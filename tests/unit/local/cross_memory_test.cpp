// SPDX-License-Identifier: Apache-2.0
// Another process's memory, read by the kernel: bytes, bounds, and whose fault is what.
#include "process.h"

#include "local/cross_memory.h"

#include <sys/syscall.h>
#include <sys/wait.h>

using namespace fixture;

namespace {

// The word that the owner tells of its memory serves as a guard that is always open.
Status read(const CrossMemory &memory, const Connected &two, std::byte *into, const std::byte *from, size_t size) {
  return memory.read_window(into, from, size, two.peer().word);
}

void cross_memory__random_ranges__are_read_and_nothing_beside_them(void **) {
  const Directory directory;
  Seeded random;
  const auto content = random.bytes(arena_size);
  // The owner's arena is full of 0x77 but for what this process had put there when it forked the owner off.
  const Process::Offers with_content = [&content](const wire::ShareAsk &ask) {
    std::copy(content.begin(), content.end(), arena.begin());
    return offer_file(ask);
  };
  Connected two(settings_for(directory.path()), with_content);
  const CrossMemory memory = probed(two.peer());
  (void)two.asker.question(two.id, {window_of_file, 0, 0, 1});
  arena.fill(std::byte{0});
  for (int i = 0; i < 200; ++i) {
    const size_t size = random.between(1, arena_size), from = random.between(0, arena_size - size);
    const size_t to = random.between(0, arena_size - size);
    std::vector<std::byte> room(arena_size, std::byte{0xee}), wanted = room;
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(from), size, wanted.begin() + static_cast<std::ptrdiff_t>(to));
    assert_text(read(memory, two, room.data() + to, arena.data() + from, size).text, "");
    assert_true(room == wanted);
  }
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
  const Status status = read(memory, two, room.data(), gap.start, room.size());
  assert_int_equal(status.code, PIRN_ERR_RANGE);
  assert_text(status.text, text("process_vm_readv: process %d has no memory at %p that may be read", two.owner.pid(),
                                static_cast<void *>(gap.start + gap.page)));
  assert_text(read(memory, two, room.data(), gap.start, gap.page).text, "");
}

void cross_memory__no_memory_here__is_the_callers_fault(void **) {
  const Directory directory;
  const Connected two(settings_for(directory.path()));
  const CrossMemory memory = probed(two.peer());
  const Gap gap;  // in this process only
  const Status status = read(memory, two, gap.start, arena.data(), 3 * gap.page);
  assert_int_equal(status.code, PIRN_ERR_INVALID);
  assert_contains(status.text, text("this process has no memory at %p that may be written",
                                    static_cast<void *>(gap.start + gap.page)).c_str());
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
    const Status status = read(memory, two, room.data(), arena.data(), 100);
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
  assert_int_equal(read(memory, two, room.data(), arena.data(), 100).code, PIRN_ERR_PEER_LOST);
  assert_int_equal(CrossMemory::probe(two.peer()).status().code, PIRN_ERR_UNAVAILABLE);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(cross_memory__random_ranges__are_read_and_nothing_beside_them),
      cmocka_unit_test(cross_memory__no_memory_there__is_out_of_range_at_that_address),
      cmocka_unit_test(cross_memory__no_memory_here__is_the_callers_fault),
      cmocka_unit_test(cross_memory__forbidden_by_the_kernel__says_so),
      cmocka_unit_test(address_handle__of_an_allocation__tells_where_a_chunk_begins),
      cmocka_unit_test(cross_memory__wrong_word_or_invisible_process__is_unavailable),
      cmocka_unit_test(cross_memory__peer_killed__is_lost),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
