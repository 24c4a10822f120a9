// SPDX-License-Identifier: Apache-2.0
#include "finish.h"
#include "hip_kernels.h"
#include "hip_table.h"

namespace pirn::device::hip {
namespace {

// Done: true; not yet: false.
Result<bool> answered(const Symbol &query, int error) {
  if (error == error_not_ready) return false;
  const Status status = status_of(query, error);
  if (!status.is_ok()) return status;
  return true;
}

}  // namespace

bool can_wait_on_words(uint32_t device) {
  int able = 0;
  return runtime_version() >= waits_on_host_words_since && runtime().hipStreamWaitValue64 &&
         runtime().hipStreamWriteValue64 &&
         runtime().hipDeviceGetAttribute(&able, attribute_wait_value, static_cast<int>(device)) == success && able != 0;
}

Result<void *> make_stream(uint32_t device) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  (void)copy_kernel(device).is_ok();  // copy_blocks() says what is wrong with it
  void *stream = nullptr;
  const Status status = call(runtime().hipStreamCreateWithFlags, &stream, stream_non_blocking);
  if (!status.is_ok()) return status;
  return stream;
}

Status drop_stream(uint32_t device, void *stream) {
  const OnDevice current(device);
  return current.is_ok() ? call(runtime().hipStreamDestroy, stream) : current.status();
}

Result<void *> make_event(uint32_t device) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  void *event = nullptr;
  const Status status = call(runtime().hipEventCreateWithFlags, &event, event_disable_timing);
  if (!status.is_ok()) return status;
  return event;
}

Status drop_event(uint32_t device, void *event) {
  const OnDevice current(device);
  return current.is_ok() ? call(runtime().hipEventDestroy, event) : current.status();
}

Status record(uint32_t device, void *event, void *stream) {
  const OnDevice current(device);
  return current.is_ok() ? call(runtime().hipEventRecord, event, stream) : current.status();
}

Result<bool> reached(uint32_t device, void *event) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  return answered(runtime().hipEventQuery, runtime().hipEventQuery(event));
}

Status copy(uint32_t device, void *stream, void *to, const void *from, uint64_t length) {
  if (length == 0) return check_device(device);
  const OnDevice current(device);
  return current.is_ok() ? call(runtime().hipMemcpyAsync, to, from, length, copy_default, stream) : current.status();
}

Status finish(uint32_t device, void *stream, uint64_t timeout) {
  const OnDevice current(device);
  if (!current.is_ok()) return current.status();
  return finish_by_asking("hip", device, timeout,
                          [stream] { return answered(runtime().hipStreamQuery, runtime().hipStreamQuery(stream)); });
}

Result<uint32_t> device_of(void *stream) {
  const Unnoticed unnoticed;
  int device = -1;
  const Status status = call(runtime().hipStreamGetDevice, stream, &device);
  if (!status.is_ok()) return status;
  return static_cast<uint32_t>(device);
}

Result<bool> capturing(void *stream) {
  const Unnoticed unnoticed;
  int state = capture_none;
  const Status status = call(runtime().hipStreamIsCapturing, stream, &state);
  if (!status.is_ok()) return status;
  if (state == capture_none || state == capture_active) return state == capture_active;
  return fail(PIRN_ERR_INVALID, "the capture of stream %p is broken: it was invalidated and not ended", stream);
}

Status wait_word(void *stream, uint64_t *word, uint64_t value) {
  const Unnoticed unnoticed;
  // HIP compares unsigned: the same as the signed difference while no word gets past 2^63.
  return call(runtime().hipStreamWaitValue64, stream, word, value, wait_greater_or_equal, UINT64_MAX);
}

Status write_word(void *stream, uint64_t *word, uint64_t value) {
  const Unnoticed unnoticed;
  return call(runtime().hipStreamWriteValue64, stream, word, value, 0u);
}

}  // namespace pirn::device::hip
