// SPDX-License-Identifier: Apache-2.0
#include "fabric/rail_state.h"

#include <algorithm>
#include <cstdio>

namespace pirn::fabric {
namespace {

constexpr size_t batch = 64;
constexpr uint32_t polls_between_event_checks = 256;  // while nothing is amiss; after a sleep at once

// Two layers speak: libfabric's name for the error, and the provider's own words where it has any.
void describe_error(fid_cq *cq, const fi_cq_err_entry &entry, const Calls &calls, char *out, size_t size) {
  char buffer[error_text_size] = "";
  const char *general = calls.strerror(entry.err);
  const char *own = nullptr;
  if (entry.prov_errno) own = fi_cq_strerror(cq, entry.prov_errno, entry.err_data, buffer, sizeof buffer);
  if (own && *own && strcmp(own, general) != 0)
    snprintf(out, size, "%s: %s (%d)", general, own, entry.prov_errno);
  else
    snprintf(out, size, "%s", general);
}

}  // namespace

size_t Rail::poll(Completion *out, size_t capacity, Status *failure) {
  State &s = *state_;
  size_t count = 0, errors = 0;
  while (count < capacity && errors < errors_per_poll) {
    fi_cq_msg_entry entries[batch];
    size_t wanted = std::min(capacity - count, batch);
    ssize_t got = fi_cq_read(s.cq.get(), entries, wanted);
    for (ssize_t i = 0; i < got; i++) {
      const fi_cq_msg_entry &entry = entries[i];
      if (!entry.op_context) continue;
      out[count++] = {static_cast<Work *>(entry.op_context), entry.len, (entry.flags & FI_RECV) != 0, 0, 0, ""};
    }
    if (got >= 0) {
      if (static_cast<size_t>(got) < wanted) break;
      continue;
    }
    if (got == -FI_EAGAIN) break;
    if (got != -FI_EAVAIL) {
      *failure = s.step_failed("fi_cq_read", got);
      failure->code = PIRN_ERR_IO;
      break;
    }
    Grown<fi_cq_err_entry> error;
    if (fi_cq_readerr(s.cq.get(), &error.attr, 0) < 0) break;
    const fi_cq_err_entry &entry = error.attr;
    if (!entry.op_context) continue;
    char *words = s.error_texts[errors++];
    describe_error(s.cq.get(), entry, s.calls, words, error_text_size);
    out[count++] = {static_cast<Work *>(entry.op_context), 0, (entry.flags & FI_RECV) != 0,
                    entry.err > 0 ? entry.err : FI_EOTHER, entry.prov_errno, words};
  }
  // An error may be the device's; and who sleeps between polls must not wait for many of them.
  const bool due = ++s.polls_since_event_check >= polls_between_event_checks || errors > 0 || s.slept;
  if (s.eq && due) s.check_events(failure);
  return count;
}

void Rail::State::check_events(Status *failure) {
  polls_since_event_check = 0;
  slept = false;
  alignas(8) char event_data[256];
  uint32_t event = 0;
  ssize_t rc = fi_eq_read(eq.get(), &event, event_data, sizeof event_data, 0);
  if (rc != -FI_EAVAIL) return;
  Grown<fi_eq_err_entry> error;
  if (fi_eq_readerr(eq.get(), &error.attr, 0) < 0) return;
  char buffer[error_text_size] = "";
  const char *own = fi_eq_strerror(eq.get(), error.attr.prov_errno, error.attr.err_data, buffer, sizeof buffer);
  *failure = fail(PIRN_ERR_IO, "%s: event queue: %s: %s (%d)", name.c_str(), calls.strerror(error.attr.err),
                  own ? own : "", error.attr.prov_errno);
}

}  // namespace pirn::fabric
