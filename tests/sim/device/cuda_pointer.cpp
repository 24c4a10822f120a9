// SPDX-License-Identifier: Apache-2.0
// What is known about an address.
#include "cuda_face.h"

#include <cstring>

namespace pirn::fake_gpu::cuda {

namespace {

template <typename T>
Code put(void *out, T value) {
  memcpy(out, &value, sizeof value);
  return ok;
}

int ordinal(const Mapping &mapping) {
  return mapping.chunk ? ordinal_of(mapping.chunk->unit()) : static_cast<int>(mapping.context->ordinal);
}

// The reserved range of mapped memory, the allocation of other memory.
Range range_of(const Mapping &mapping) {
  if (mapping.kind != Kind::chunk) return {mapping.base, mapping.length};
  auto next = engine().reservations.upper_bound(mapping.base);
  return {std::prev(next)->first, std::prev(next)->second};
}

Code about_memory(const Mapping &mapping, Pointer address, int attribute, void *out) {
  switch (attribute) {
    case 1: return put(out, mapping.kind == Kind::chunk ? nullptr : static_cast<void *>(mapping.context));
    case 2: return put(out, mapping.on_device() || mapping.kind == Kind::managed ? 2 : 1);
    case 3: return put(out, address);
    case 4: return mapping.on_device() ? invalid_value : put(out, address);
    case 6: return put(out, static_cast<int>(mapping.ordered));
    case 7: return put(out, static_cast<unsigned long long>(mapping.id));
    case 8: return put(out, static_cast<uint8_t>(mapping.kind == Kind::managed));
    case 9: return put(out, ordinal(mapping));
    case 10: return put(out, static_cast<int>(mapping.kind == Kind::plain));
    case 11: return put(out, range_of(mapping).base);
    case 12: return put(out, static_cast<size_t>(range_of(mapping).length));
    case 13: return put(out, static_cast<uint8_t>(1));
    case 14: return put(out, static_cast<uint64_t>(mapping.chunk ? mapping.chunk->handle_types() : 0));
    case 15: return put(out, 0);
    case 16: return put(out, 3);
    case 17: return put(out, mapping.pool);
    case 18: return put(out, static_cast<size_t>(mapping.length));
    case 19: return put(out, mapping.base);
    case 20: return put(out, mapping.chunk ? reinterpret_cast<uint64_t>(mapping.chunk.get()) : 0);
    default: return invalid_value;
  }
}

// How many bytes cuPointerGetAttributes() clears for an address that it does not know.
size_t size_of(int attribute) {
  switch (attribute) {
    case 2: case 6: case 9: case 10: case 15: case 16: return 4;
    case 8: case 13: return 1;
    default: return 8;
  }
}

}  // namespace

Result cuPointerGetAttribute(void *value, int attribute, Pointer address) {
  return run_call(__func__, needs_init, [&](Call &) {
    Mapping *mapping = find_mapping(address);
    if (!value || !mapping) return invalid_value;
    return about_memory(*mapping, address, attribute, value);
  });
}

Result cuPointerGetAttributes(unsigned count, int *attributes, void **values, Pointer address) {
  return run_call(__func__, needs_init, [&](Call &) {
    if (!attributes || !values) return invalid_value;
    Mapping *mapping = find_mapping(address);
    for (unsigned i = 0; i < count; i++) {
      if (attributes[i] < 1 || attributes[i] > 21) return invalid_value;
      memset(values[i], 0, size_of(attributes[i]));
      if (attributes[i] == 9) put(values[i], -2);  // no device
      if (mapping) static_cast<void>(about_memory(*mapping, address, attributes[i], values[i]));
    }
    return ok;
  });
}

Result cuPointerSetAttribute(const void *value, int attribute, Pointer address) {
  return run_call(__func__, needs_init, [&](Call &) {
    Mapping *mapping = find_mapping(address);
    if (attribute != 6 || !mapping || !value) return invalid_value;
    if (mapping->kind != Kind::plain) return not_supported;
    mapping->ordered = *static_cast<const unsigned *>(value) != 0;  // copies are ordered so anyhow
    return ok;
  });
}

Result cuMemGetAddressRange_v2(Pointer *base, size_t *length, Pointer address) {
  return run_call(__func__, needs_context, [&](Call &) {
    Mapping *mapping = find_mapping(address);
    if (!mapping) return not_found;
    Range range = range_of(*mapping);
    if (base) *base = range.base;
    if (length) *length = range.length;
    return ok;
  });
}

}  // namespace pirn::fake_gpu::cuda
