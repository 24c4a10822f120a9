// SPDX-License-Identifier: Apache-2.0
#include "api/params.h"

#include <algorithm>

namespace pirn::api {
namespace {

size_t size_of(const void *caller) {
  size_t size;
  std::memcpy(&size, caller, sizeof size);
  return size;
}

// Offset of the first byte in [begin, end) that is not zero; end if there is none.
size_t first_non_zero(const void *bytes, size_t begin, size_t end) {
  const auto *start = static_cast<const unsigned char *>(bytes);
  const auto *found = std::find_if(start + begin, start + end, [](unsigned char byte) { return byte != 0; });
  return static_cast<size_t>(found - start);
}

void reset(const Layout &layout, void *copy) {
  std::memset(copy, 0, layout.size);
  std::memcpy(copy, &layout.size, sizeof layout.size);
}

void copy_fields(const void *from, void *to, size_t size) {
  std::memcpy(static_cast<char *>(to) + sizeof(size_t), static_cast<const char *>(from) + sizeof(size_t),
              size - sizeof(size_t));
}

}  // namespace

ImportResult import_struct(const Layout &layout, const void *caller, void *copy) {
  reset(layout, copy);
  if (caller == nullptr) return {Import::absent, 0};
  const size_t size = size_of(caller);
  if (size < layout.minimum) return {Import::too_small, size};
  if (size > largest_struct) return {Import::too_large, size};
  if (size > layout.size) {
    const size_t unknown = first_non_zero(caller, layout.size, size);
    if (unknown != size) return {Import::unknown_field, unknown};
  }
  if (layout.reserved != 0) {
    const size_t reserved_end = layout.reserved + sizeof(uint32_t);
    const size_t unknown = first_non_zero(caller, layout.reserved, reserved_end);
    if (unknown != reserved_end) return {Import::unknown_field, unknown};
  }
  copy_fields(caller, copy, std::min(size, layout.size));
  if (size == layout.size) return {Import::same, 0};
  return {size < layout.size ? Import::older : Import::newer, 0};
}

Status check_struct_size(const Layout &layout, size_t caller_size) {
  if (caller_size < layout.minimum || caller_size > largest_struct) {
    return fail(PIRN_ERR_INVALID, "%s: struct_size is %zu; set it to sizeof(%s), which is %zu here and at least %zu",
                layout.name, caller_size, layout.name, layout.size, layout.minimum);
  }
  return Status::ok();
}

Status import_status(const Layout &layout, const void *caller, void *copy) {
  const ImportResult result = import_struct(layout, caller, copy);
  switch (result.outcome) {
    case Import::absent:
    case Import::same:
    case Import::older:
    case Import::newer:
      return Status::ok();
    case Import::too_small:
    case Import::too_large:
      return check_struct_size(layout, result.where);
    case Import::unknown_field:
      break;
  }
  return fail(PIRN_ERR_INVALID,
              "%s: byte %zu is not zero, but this library (%s) knows no field there; "
              "zero the struct before use, or use a newer library",
              layout.name, result.where, pirn_version_string());
}

Status clear_output(const Layout &layout, void *caller) {
  if (caller == nullptr) return fail(PIRN_ERR_INVALID, "%s: NULL", layout.name);
  const size_t size = size_of(caller);
  Status status = check_struct_size(layout, size);
  if (status.is_ok()) std::memset(static_cast<char *>(caller) + sizeof size, 0, size - sizeof size);
  return status;
}

void export_struct(const Layout &layout, const void *value, void *caller, size_t caller_size) {
  const size_t known = std::min(caller_size, layout.size);
  std::memcpy(caller, &caller_size, sizeof caller_size);
  copy_fields(value, caller, known);
  std::memset(static_cast<char *>(caller) + known, 0, caller_size - known);
}

}  // namespace pirn::api
