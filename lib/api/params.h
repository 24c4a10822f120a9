// SPDX-License-Identifier: Apache-2.0
// Sized structs at the border: caller and library may be of different releases.
//
// A struct grows only at its end and zero means "default" in every field. So an older caller's struct is
// completed with zeros, and a newer caller's is taken as long as the fields this library does not know
// are zero: a request that cannot be met is refused, never ignored. Any thread; nothing is kept.
#pragma once

#include "base/result.h"

#include <pirn/pirn.h>

#include <cstddef>
#include <cstring>
#include <type_traits>

namespace pirn::api {

// No struct of any release is larger: a larger struct_size is uninitialised memory, and reading or
// clearing that much could leave the caller's object.
constexpr size_t largest_struct = 4096;

struct Layout {
  const char *name;
  size_t size;      // in this release
  size_t minimum;   // in the release that introduced the struct
  size_t reserved;  // offset of a uint32_t that must be zero; 0: none
};

// One entry a sized struct. `last` is the last field of the release that introduced it and never changes.
template <typename T>
struct LayoutOf;

#define PIRN_LAYOUT(type, last, reserved_offset)                                                               \
  template <>                                                                                                  \
  struct LayoutOf<type> {                                                                                      \
    static constexpr Layout value{#type, sizeof(type), offsetof(type, last) + sizeof(type::last), reserved_offset}; \
    static_assert(offsetof(type, struct_size) == 0 && sizeof(type) <= largest_struct);                         \
    static_assert(reserved_offset < value.minimum);                                                            \
  };
PIRN_LAYOUT(pirn_context_params, log_arg, 0)
PIRN_LAYOUT(pirn_endpoint_params, reserved, offsetof(pirn_endpoint_params, reserved))
PIRN_LAYOUT(pirn_region_params, reserved, offsetof(pirn_region_params, reserved))
PIRN_LAYOUT(pirn_transfer_params, flags, 0)
PIRN_LAYOUT(pirn_setting_info, reserved, 0)
PIRN_LAYOUT(pirn_provider_info, nic_count, 0)
PIRN_LAYOUT(pirn_nic_info, max_message_size, 0)
PIRN_LAYOUT(pirn_affinity_info, preferred, 0)
PIRN_LAYOUT(pirn_device_kind_info, device_count, 0)
PIRN_LAYOUT(pirn_device_info, reserved, 0)
PIRN_LAYOUT(pirn_device_link_info, distance, 0)
PIRN_LAYOUT(pirn_peer_info, bytes_read, 0)
PIRN_LAYOUT(pirn_result, text, 0)
PIRN_LAYOUT(pirn_notification, length, 0)
PIRN_LAYOUT(pirn_trigger_info, reserved, 0)
#undef PIRN_LAYOUT

enum class Import {
  absent,         // NULL: every field is its default
  same,           // the caller's release knows the same fields
  older,          // missing fields read as zero
  newer,          // the fields unknown here are all zero
  too_small,      // struct_size is 0 or less than any release had
  too_large,      // struct_size is no release's
  unknown_field,  // a field unknown here, or reserved, is not zero
};

struct ImportResult {
  Import outcome;
  size_t where;  // unknown_field: offset of the byte; too_small and too_large: the caller's struct_size
};

// `copy` has room for layout.size bytes and is written in full, with layout.size as its struct_size;
// all other bytes are zero when the outcome is absent, too_small, too_large or unknown_field.
ImportResult import_struct(const Layout &layout, const void *caller, void *copy);

// Same, with the outcome as a status whose text names the struct and what is wrong with it.
Status import_status(const Layout &layout, const void *caller, void *copy);

template <typename T>
Status import_params(const T *caller, T *copy) {
  static_assert(std::is_trivially_copyable_v<T>);
  return import_status(LayoutOf<T>::value, caller, copy);
}

// Checks the struct that a caller offers for results and zeroes all of it but its struct_size, so that
// it is defined on failure too. NULL is INVALID.
Status clear_output(const Layout &layout, void *caller);

template <typename T>
Status clear_output(T *caller) {
  return clear_output(LayoutOf<T>::value, caller);
}

// Writes `value` (layout.size bytes) into room for caller_size bytes: at most that many, with caller_size
// as its struct_size, and zeros in what a newer caller knows beyond it.
void export_struct(const Layout &layout, const void *value, void *caller, size_t caller_size);

// For a struct that clear_output accepted.
template <typename T>
void export_result(const T &value, T *caller) {
  static_assert(std::is_trivially_copyable_v<T>);
  export_struct(LayoutOf<T>::value, &value, caller, caller->struct_size);
}

// For arrays, whose stride the caller passes apart from the elements: INVALID if it is no release's size.
Status check_struct_size(const Layout &layout, size_t caller_size);

}  // namespace pirn::api
