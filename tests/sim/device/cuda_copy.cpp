// SPDX-License-Identifier: Apache-2.0
#include "cuda_face.h"
#include "worker.h"

namespace pirn::fake_gpu::cuda {

namespace {

// `to_device`, `from_device`: the function says that this side is no host memory of others.
struct Sides {
  bool to_device = false, from_device = false;
};

Code check(Sides sides, Pointer to, Pointer from, size_t length) {
  if (length == 0) return ok;
  if (sides.to_device && !find_mapping(to)) return invalid_value;
  return sides.from_device && !find_mapping(from) ? invalid_value : ok;
}

Result copy_later(const char *name, Sides sides, Pointer to, Pointer from, size_t length, Handle handle) {
  return run_on_stream(name, handle, needs_context, [&](Call &call, const std::shared_ptr<Stream> &stream) {
    Code code = check(sides, to, from, length);
    return code == ok ? copy(call, stream, to, from, length) : code;
  });
}

Result copy_now(const char *name, Sides sides, Pointer to, Pointer from, size_t length) {
  return run_call(name, needs_context | unsafe, [&](Call &call) {
    Code code = check(sides, to, from, length);
    return code == ok ? copy_and_wait(call, to, from, length) : code;
  });
}

Result set_later(const char *name, Pointer to, unsigned value, uint32_t width, size_t count, Handle handle, bool wait) {
  return run_on_stream(name, handle, wait ? needs_context | unsafe : needs_context,
                       [&](Call &call, const std::shared_ptr<Stream> &stream) {
                         Code code = check({true, false}, to, 0, count);
                         if (code == ok) code = fill(call, stream, to, value, width, count);
                         return code == ok && wait ? wait_for(call.lock, {stream, stream->submitted}) : code;
                       });
}

Result copy_batch(const char *name, Pointer *to, Pointer *from, size_t *lengths, size_t count,
                  const CopyAttributes *attributes, const size_t *indices, size_t attribute_count, size_t *failed,
                  Handle handle) {
  return run_on_stream(name, handle, needs_context, [&](Call &call, const std::shared_ptr<Stream> &stream) {
    auto value = reinterpret_cast<uintptr_t>(handle);
    if (failed) *failed = SIZE_MAX;
    if (value <= 1 || !to || !from || !lengths || count == 0) return invalid_value;  // not in the null stream
    if (!attributes || !indices || attribute_count == 0 || indices[0] != 0) return invalid_value;
    if (stream->capture) return not_permitted;
    for (size_t i = 0; i < count; i++) {
      Code code = lengths[i] ? copy(call, stream, to[i], from[i], lengths[i]) : invalid_value;
      if (code == ok) continue;
      if (failed) *failed = i;
      return code;
    }
    return ok;
  });
}

}  // namespace

Result cuMemcpy(Pointer to, Pointer from, size_t length) { return copy_now(__func__, {}, to, from, length); }

Result cuMemcpyHtoD_v2(Pointer to, const void *from, size_t length) {
  return copy_now(__func__, {true, false}, to, pointer(from), length);
}

Result cuMemcpyDtoH_v2(void *to, Pointer from, size_t length) {
  return copy_now(__func__, {false, true}, pointer(to), from, length);
}

Result cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t length) {
  return copy_now(__func__, {true, true}, to, from, length);
}

Result cuMemcpyAsync(Pointer to, Pointer from, size_t length, Handle stream) {
  return copy_later(__func__, {}, to, from, length, stream);
}

Result cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t length, Handle stream) {
  return copy_later(__func__, {true, false}, to, pointer(from), length, stream);
}

Result cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t length, Handle stream) {
  return copy_later(__func__, {false, true}, pointer(to), from, length, stream);
}

Result cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t length, Handle stream) {
  return copy_later(__func__, {true, true}, to, from, length, stream);
}

Result cuMemcpyPeerAsync(Pointer to, Handle to_context, Pointer from, Handle from_context, size_t length,
                         Handle stream) {
  if (!to_context || !from_context) return invalid_context;
  return copy_later(__func__, {true, true}, to, from, length, stream);
}

Result cuMemcpyBatchAsync(Pointer *to, Pointer *from, size_t *lengths, size_t count, CopyAttributes *attributes,
                          size_t *indices, size_t attribute_count, size_t *failed, Handle stream) {
  return copy_batch(__func__, to, from, lengths, count, attributes, indices, attribute_count, failed, stream);
}

Result cuMemcpyBatchAsync_v2(Pointer *to, Pointer *from, size_t *lengths, size_t count, CopyAttributes *attributes,
                             size_t *indices, size_t attribute_count, Handle stream) {
  return copy_batch(__func__, to, from, lengths, count, attributes, indices, attribute_count, nullptr, stream);
}

Result cuMemsetD8_v2(Pointer to, unsigned char value, size_t count) {
  return set_later(__func__, to, value, 1, count, nullptr, true);
}

Result cuMemsetD32_v2(Pointer to, unsigned value, size_t count) {
  return set_later(__func__, to, value, 4, count, nullptr, true);
}

Result cuMemsetD8Async(Pointer to, unsigned char value, size_t count, Handle stream) {
  return set_later(__func__, to, value, 1, count, stream, false);
}

Result cuMemsetD32Async(Pointer to, unsigned value, size_t count, Handle stream) {
  return set_later(__func__, to, value, 4, count, stream, false);
}

}  // namespace pirn::fake_gpu::cuda
