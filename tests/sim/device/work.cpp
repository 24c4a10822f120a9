// SPDX-License-Identifier: Apache-2.0
// The kinds of stream work but kernels.
#include "memory.h"
#include "report.h"
#include "stream.h"
#include "transfer.h"
#include "worker.h"

#include <cstring>

namespace pirn::fake_gpu {

namespace {

void use(Work &work, uint64_t base, uint64_t length) {
  if (!is_pageable(base)) work.uses.push_back({base, length});
}

// The word at an address that a stream may wait for; nullptr: it may not.
std::byte *word_at(Context &context, uint64_t word, bool write, bool wide, std::vector<Span> &spans) {
  Lock lock(engine().lock);
  Code code = resolve(context, {word, wide ? 8u : 4u}, {write, true}, spans);
  return code == ok ? spans[0].bytes : nullptr;
}

bool holds(const std::byte *at, uint64_t value, Compare compare, bool wide) {
  uint64_t now = wide ? __atomic_load_n(reinterpret_cast<const uint64_t *>(at), __ATOMIC_ACQUIRE)
                      : __atomic_load_n(reinterpret_cast<const uint32_t *>(at), __ATOMIC_ACQUIRE);
  uint64_t all = wide ? UINT64_MAX : UINT32_MAX;
  switch (compare) {
    case Compare::geq: return wide ? static_cast<int64_t>(now - value) >= 0 : static_cast<int32_t>(now - value) >= 0;
    case Compare::eq: return now == (value & all);
    case Compare::any_bit: return (now & value) != 0;
    case Compare::nor: return (~(now | value) & all) != 0;
  }
  return false;
}

bool is_word(Call &call, uint64_t word, bool wide) {
  if (word % (wide ? 8 : 4) == 0 && !is_pageable(word) && find_mapping(word)) return true;
  report("misuse", "%s of %#llx, which is no aligned word of page-locked or device memory", call.name,
         static_cast<unsigned long long>(word));
  return false;
}

}  // namespace

Code copy(Call &call, const std::shared_ptr<Stream> &stream, uint64_t to, uint64_t from, uint64_t length) {
  if (length == 0) return ok;
  std::vector<Span> spans;
  if (Code code = resolve(*stream->context, {to, length}, {true, false}, spans); code != ok) return code;
  if (Code code = resolve(*stream->context, {from, length}, {false, false}, spans); code != ok) return code;
  bool pageable = is_pageable(to) || is_pageable(from);
  uint64_t seed = engine().random();
  Work work{"a copy", [=](Context &context, Code &code) {
              code = transfer(context, to, from, length, false, seed);
              return Step::done;
            }, {}};
  use(work, to, length);
  use(work, from, length);
  Code code = submit(call, stream, std::move(work));
  if (code != ok || !pageable || stream->capture) return code;
  return wait_for(call.lock, {stream, stream->submitted});  // host memory that is not page-locked makes it synchronous
}

Code copy_and_wait(Call &call, uint64_t to, uint64_t from, uint64_t length) {
  std::shared_ptr<Stream> stream = call.context->null_stream;
  Code code = copy(call, stream, to, from, length);
  return code == ok ? wait_for(call.lock, {stream, stream->submitted}) : code;
}

Code fill(Call &call, const std::shared_ptr<Stream> &stream, uint64_t to, uint64_t value, uint32_t width,
          uint64_t count) {
  if (count == 0) return ok;
  uint64_t length = count * width;
  std::vector<Span> found;
  if (to % width) return invalid_value;
  if (Code code = resolve(*stream->context, {to, length}, {true, false}, found); code != ok) return code;
  Work work{"a fill", [=](Context &context, Code &code) {
              std::vector<std::byte> bytes(length);
              for (uint64_t i = 0; i < length; i += width) memcpy(&bytes[i], &value, width);
              code = transfer_host(context, to, bytes.data(), length);
              return Step::done;
            }, {}};
  use(work, to, length);
  return submit(call, stream, std::move(work));
}

Code wait_word(Call &call, const std::shared_ptr<Stream> &stream, uint64_t word, uint64_t value, Compare compare,
               bool wide) {
  if (!is_word(call, word, wide)) return invalid_value;
  Work work{"waiting for a word", [=](Context &context, Code &code) {
              std::vector<Span> spans;
              std::byte *at = word_at(context, word, false, wide, spans);
              if (!at) {
                code = illegal_address;
                return Step::done;
              }
              return holds(at, value, compare, wide) ? Step::done : Step::wait;
            }, {}};
  use(work, word, wide ? 8 : 4);
  return submit(call, stream, std::move(work));
}

Code write_word(Call &call, const std::shared_ptr<Stream> &stream, uint64_t word, uint64_t value, bool wide) {
  if (!is_word(call, word, wide)) return invalid_value;
  Work work{"writing a word", [=](Context &context, Code &code) {
              std::vector<Span> spans;
              std::byte *at = word_at(context, word, true, wide, spans);
              if (!at) code = illegal_address;
              else if (wide) __atomic_store_n(reinterpret_cast<uint64_t *>(at), value, __ATOMIC_RELEASE);
              else __atomic_store_n(reinterpret_cast<uint32_t *>(at), static_cast<uint32_t>(value), __ATOMIC_RELEASE);
              return Step::done;
            }, {}};
  use(work, word, wide ? 8 : 4);
  return submit(call, stream, std::move(work));
}

Code host_function(Call &call, const std::shared_ptr<Stream> &stream, void (*function)(void *), void *argument) {
  return submit(call, stream, {"a host function", [=](Context &, Code &) {
                                 function(argument);
                                 return Step::done;
                               }, {}});
}

}  // namespace pirn::fake_gpu
