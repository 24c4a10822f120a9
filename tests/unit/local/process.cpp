// SPDX-License-Identifier: Apache-2.0
#include "process.h"

#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace fixture {

constexpr uint8_t secret = 9;

std::array<std::byte, arena_size> arena;

Offer offer_file(const wire::ShareAsk &ask) {
  if (ask.window == window_of_silence) pause();
  Offer offer;
  offer.answer = answer_of_file(10, 1);
  offer.files.push_back(memory_of(std::vector<std::byte>(10, std::byte{0x42})));
  return offer;
}

// The child. Says by a byte when it listens.
[[noreturn]] static void own(const Settings &settings, const Process::Offers &offers, int ready) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  arena.fill(std::byte{0x77});
  Side owner(owner_id, settings);
  owner.knows(asker_id, secret);
  owner.offers = offers;
  if (!owner.channel.listen().is_ok() || write(ready, "", 1) != 1) _exit(1);
  drive({&owner}, [] { return false; }, 20000);
  _exit(0);
}

Process::Process(const Settings &settings, const Offers &offers, Where where) {
  (void)instance_of(0);  // names are this process's
  const Fd back(open("/proc/self/ns/pid_for_children", O_RDONLY | O_CLOEXEC));
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  if (where == Where::apart && unshare(CLONE_NEWPID) != 0)
    refusal_ = text("unshare(CLONE_NEWPID): %s", std::strerror(errno));
  if (refusal_.empty()) child_ = fork();
  if (child_ == 0) own(settings, offers, ready[1]);
  if (where == Where::apart && refusal_.empty()) assert_int_equal(setns(back.get(), CLONE_NEWPID), 0);
  close(ready[1]);
  char byte;
  if (child_ > 0) assert_int_equal(read(ready[0], &byte, 1), 1);
  close(ready[0]);
}

void Process::kill_it() {
  if (child_ <= 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
  child_ = -1;
}

void Process::signal_it(int number) const { kill(child_, number); }

Asker::Asker(const Settings &settings) : Side(asker_id, settings) { knows(owner_id, secret); }

ConnectionId Asker::start(uint64_t limit_ms) {
  return channel.connect(known.begin()->second, now_ns() + limit_ms * ns_per_ms);
}

ConnectionId Asker::connect() {
  const ConnectionId id = start();
  assert_true(drive({this}, [&] { return ups.count(id) == 1; }));
  return id;
}

Side::Answer Asker::question(ConnectionId id, const wire::ShareAsk &ask) {
  answers.clear();
  assert_true(channel.ask(id, ask, now_ns() + 5 * ns_per_s).is_ok());
  assert_true(drive({this}, [&] { return answers.size() == 1; }));
  Answer answer = std::move(answers[0]);
  answers.clear();
  return answer;
}

Connected::Connected(const Settings &settings, const Process::Offers &offers)
    : owner(settings, offers), asker(settings) {
  id = asker.connect();
}

CrossMemory probed(const Peer &peer) {
  Result<CrossMemory> memory = CrossMemory::probe(peer);
  if (!memory.is_ok()) {
    std::printf("SKIP: %s\n", memory.status().text.c_str());
    _skip(__FILE__, __LINE__);
  }
  return memory.take();
}

}  // namespace fixture
