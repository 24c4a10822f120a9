// SPDX-License-Identifier: Apache-2.0
#include "cuda_kernels.h"
#include "cuda_table.h"
#include "finish.h"

namespace pirn::device::cuda {
namespace {

Stream stream_of(void *stream) { return static_cast<Stream>(stream); }
Event event_of(void *event) { return static_cast<Event>(event); }

// Done: true; not yet: false.
Result<bool> answered(const Symbol &query, int error) {
  if (error == error_not_ready) return false;
  const Status status = status_of(query, error);
  if (!status.is_ok()) return status;
  return true;
}

}  // namespace

Result<void *> make_stream(uint32_t device) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  (void)copy_kernel(device).is_ok();  // copy_blocks() says what is wrong with it
  Stream stream = nullptr;
  const Status status = call(driver().cuStreamCreate, &stream, stream_non_blocking);
  if (!status.is_ok()) return status;
  return static_cast<void *>(stream);
}

Status drop_stream(uint32_t device, void *stream) {
  const Bound bound(device);
  return bound.is_ok() ? call(driver().cuStreamDestroy_v2, stream_of(stream)) : bound.status();
}

Result<void *> make_event(uint32_t device) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  Event event = nullptr;
  const Status status = call(driver().cuEventCreate, &event, event_no_timing);
  if (!status.is_ok()) return status;
  return static_cast<void *>(event);
}

Status drop_event(uint32_t device, void *event) {
  const Bound bound(device);
  return bound.is_ok() ? call(driver().cuEventDestroy_v2, event_of(event)) : bound.status();
}

Status record(uint32_t device, void *event, void *stream) {
  const Bound bound(device);
  return bound.is_ok() ? call(driver().cuEventRecord, event_of(event), stream_of(stream)) : bound.status();
}

Result<bool> reached(uint32_t device, void *event) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  return answered(driver().cuEventQuery, driver().cuEventQuery(event_of(event)));
}

Status copy(uint32_t device, void *stream, void *to, const void *from, uint64_t length) {
  if (length == 0) return Status::ok();
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  return call(driver().cuMemcpyAsync, pointer_to(to), pointer_to(from), length, stream_of(stream));
}

Status finish(uint32_t device, void *stream, uint64_t timeout) {
  const Bound bound(device);
  if (!bound.is_ok()) return bound.status();
  return finish_by_asking("cuda", device, timeout,
                          [stream] { return answered(driver().cuStreamQuery, driver().cuStreamQuery(stream_of(stream))); });
}

Result<uint32_t> device_of(void *stream) {
  const Bound bound(context_of(stream));
  if (!bound.is_ok()) return bound.status();
  Device device = 0;
  const Status status = call(driver().cuCtxGetDevice, &device);
  if (!status.is_ok()) return status;
  return static_cast<uint32_t>(device);
}

Result<bool> capturing(void *stream) {
  int state = capturing_none;
  const Status status = call(driver().cuStreamIsCapturing, stream_of(stream), &state);
  if (!status.is_ok()) return status;
  if (state == capturing_none || state == capturing_active) return state == capturing_active;
  return fail(PIRN_ERR_INVALID, "the capture of stream %p is broken: it was invalidated and not ended", stream);
}

Status wait_word(void *stream, uint64_t *word, uint64_t value) {
  if (!driver().cuStreamWaitValue64_v2) {
    return fail(PIRN_ERR_UNAVAILABLE, "libcuda.so.1 has no cuStreamWaitValue64_v2: it is older than CUDA 11.7");
  }
  const Bound bound(context_of(stream));
  if (!bound.is_ok()) return bound.status();
  return call(driver().cuStreamWaitValue64_v2, stream_of(stream), pointer_to(word), value, wait_geq);
}

Status write_word(void *stream, uint64_t *word, uint64_t value) {
  if (!driver().cuStreamWriteValue64_v2) {
    return fail(PIRN_ERR_UNAVAILABLE, "libcuda.so.1 has no cuStreamWriteValue64_v2: it is older than CUDA 11.7");
  }
  const Bound bound(context_of(stream));
  if (!bound.is_ok()) return bound.status();
  return call(driver().cuStreamWriteValue64_v2, stream_of(stream), pointer_to(word), value, write_default);
}

}  // namespace pirn::device::cuda
