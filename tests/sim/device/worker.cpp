// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include "capture.h"
#include "report.h"
#include "stream.h"

#include <algorithm>

namespace pirn::fake_gpu {

using Clock = std::chrono::steady_clock;

bool Mark::reached() const { return !stream || stream->completed >= sequence; }

namespace {

constexpr auto poll_pause = std::chrono::microseconds(50);  // of work that waits for a word

bool can_go(const Stream &stream, Clock::time_point now) {
  if (stream.queue.empty()) return false;
  const Item &item = stream.queue.front();
  return item.not_before <= now &&
         std::all_of(item.needs.begin(), item.needs.end(), [](const Mark &mark) { return mark.reached(); });
}

// One step of the first piece of work; true if it made progress.
bool advance(Lock &lock, const std::shared_ptr<Stream> &stream) {
  Context &context = *stream->context;
  Item &item = stream->queue.front();  // stays where it is: only this thread takes from the queue
  Code code = ok;
  Step step = Step::done;
  if (context.alive && context.sticky == ok) {
    lock.unlock();
    step = item.work.step(context, code);
    lock.lock();
  }
  if (code != ok) {
    if (context.sticky == ok) context.sticky = code;
    step = Step::done;
  }
  if (step != Step::done) return step == Step::again;
  // What the work holds may take the lock when it goes.
  Item done = std::move(stream->queue.front());
  stream->queue.pop_front();
  stream->completed = done.sequence;
  engine().changed.notify_all();
  return true;
}

void work_for_ever() {
  Engine &all = engine();
  Lock lock(all.lock);
  while (true) {
    auto idle = [](const std::shared_ptr<Stream> &stream) { return stream->queue.empty(); };
    all.busy.erase(std::remove_if(all.busy.begin(), all.busy.end(), idle), all.busy.end());
    if (all.busy.empty()) {
      all.added.wait(lock);
      continue;
    }
    std::vector<std::shared_ptr<Stream>> turn = all.busy;
    std::shuffle(turn.begin(), turn.end(), all.random);
    bool progress = false;
    for (const auto &stream : turn)
      if (can_go(*stream, Clock::now())) progress |= advance(lock, stream);
    if (!progress) all.added.wait_for(lock, poll_pause);
  }
}

void apply_rules(Work &work) {
  if (const Rule *rule = break_rule()) {
    Code code = rule->number < 0 ? launch_failed : static_cast<Code>(rule->number);
    work.step = [code](Context &, Code &out) {
      out = code;
      return Step::done;
    };
  }
  if (const Rule *rule = hang_rule()) {
    auto until = rule->number < 0 ? Clock::time_point::max() : Clock::now() + std::chrono::milliseconds(rule->number);
    work.step = [until, inner = work.step](Context &context, Code &code) {
      return Clock::now() < until ? Step::wait : inner(context, code);
    };
  }
}

// The null stream and the blocking streams of its context keep order with each other.
void add_implicit_needs(const Stream &stream, std::vector<Mark> &needs) {
  Context &context = *stream.context;
  if (&stream == context.null_stream.get()) {
    for (const auto &other : engine().busy)
      if (other->context == &context && other->blocking && other.get() != &stream)
        needs.push_back({other, other->submitted});
  } else if (stream.blocking && !context.null_stream->idle()) {
    needs.push_back({context.null_stream, context.null_stream->submitted});
  }
}

}  // namespace

void start_worker() {
  std::thread thread(work_for_ever);
  engine().worker = thread.get_id();
  thread.detach();
}

Code submit(Call &call, const std::shared_ptr<Stream> &stream, Work work) {
  Engine &all = engine();
  Context &context = *stream->context;
  if (!context.alive) return context_is_destroyed;
  if (context.sticky != ok) return context.sticky;
  apply_rules(work);
  bool captured = false;
  if (Code code = capture_work(call.name, stream, work, captured); code != ok || captured) return code;
  Item item;
  item.work = std::move(work);
  item.sequence = ++stream->submitted;
  item.needs = std::move(stream->needs);
  stream->needs.clear();
  add_implicit_needs(*stream, item.needs);
  item.not_before = Clock::now();
  if (uint64_t most = settings().delay_us) item.not_before += std::chrono::microseconds(all.random() % (most + 1));
  stream->queue.push_back(std::move(item));
  if (std::find(all.busy.begin(), all.busy.end(), stream) == all.busy.end()) all.busy.push_back(stream);
  all.added.notify_one();
  return ok;
}

Code wait_for(Lock &lock, const Mark &mark) {
  engine().changed.wait(lock, [&] { return mark.reached(); });
  return mark.stream ? mark.stream->context->sticky : ok;
}

void wait_for_device(Lock &lock, uint32_t unit) {
  std::vector<Mark> marks;
  for (const auto &stream : engine().busy)
    if (stream->context->unit == unit) marks.push_back({stream, stream->submitted});
  for (const Mark &mark : marks) engine().changed.wait(lock, [&] { return mark.reached(); });
}

const char *user_of(Range range) {
  for (const auto &stream : engine().busy)
    for (const Item &item : stream->queue)
      for (const Range &used : item.work.uses)
        if (used.base < range.base + range.length && range.base < used.base + used.length) return item.work.name;
  return nullptr;
}

}  // namespace pirn::fake_gpu
