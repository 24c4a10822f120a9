/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of the public structs as the first release had it, on 64-bit machines (LP64: x86-64, aarch64).
 * Lines are added when a struct grows at its end; a line that is here never changes. Pointers and size_t
 * make other machines differ, so nothing is stated for them. */
#include <pirn/pirn.h>

#include <stddef.h>

#if defined(__LP64__)

#define FIELD(type, field, offset, size)                                                             \
  _Static_assert(offsetof(type, field) == (offset), "offset of " #type "." #field " changed");       \
  _Static_assert(sizeof(((type *)0)->field) == (size), "size of " #type "." #field " changed")
#define SIZE(type, size)                                                   \
  _Static_assert(sizeof(type) == (size), "size of " #type " changed");     \
  _Static_assert(_Alignof(type) == 8, "alignment of " #type " changed")

SIZE(pirn_context_params, 40);
FIELD(pirn_context_params, struct_size, 0, 8);
FIELD(pirn_context_params, settings, 8, 8);
FIELD(pirn_context_params, settings_count, 16, 8);
FIELD(pirn_context_params, log, 24, 8);
FIELD(pirn_context_params, log_arg, 32, 8);

SIZE(pirn_setting_info, 56);
FIELD(pirn_setting_info, struct_size, 0, 8);
FIELD(pirn_setting_info, name, 8, 8);
FIELD(pirn_setting_info, value, 16, 8);
FIELD(pirn_setting_info, default_value, 24, 8);
FIELD(pirn_setting_info, allowed, 32, 8);
FIELD(pirn_setting_info, doc, 40, 8);
FIELD(pirn_setting_info, source, 48, 4);
FIELD(pirn_setting_info, reserved, 52, 4);

SIZE(pirn_provider_info, 40);
FIELD(pirn_provider_info, struct_size, 0, 8);
FIELD(pirn_provider_info, name, 8, 8);
FIELD(pirn_provider_info, fabric, 16, 8);
FIELD(pirn_provider_info, reason, 24, 8);
FIELD(pirn_provider_info, usable, 32, 4);
FIELD(pirn_provider_info, nic_count, 36, 4);

SIZE(pirn_nic_info, 56);
FIELD(pirn_nic_info, struct_size, 0, 8);
FIELD(pirn_nic_info, provider, 8, 8);
FIELD(pirn_nic_info, name, 16, 8);
FIELD(pirn_nic_info, address, 24, 8);
FIELD(pirn_nic_info, pci_address, 32, 8);
FIELD(pirn_nic_info, link_speed, 40, 8);
FIELD(pirn_nic_info, max_message_size, 48, 8);

SIZE(pirn_endpoint_params, 40);
FIELD(pirn_endpoint_params, struct_size, 0, 8);
FIELD(pirn_endpoint_params, device, 8, 8);
FIELD(pirn_endpoint_params, provider, 16, 8);
FIELD(pirn_endpoint_params, nics, 24, 8);
FIELD(pirn_endpoint_params, progress, 32, 4);
FIELD(pirn_endpoint_params, reserved, 36, 4);

SIZE(pirn_affinity_info, 48);
FIELD(pirn_affinity_info, struct_size, 0, 8);
FIELD(pirn_affinity_info, provider, 8, 8);
FIELD(pirn_affinity_info, name, 16, 8);
FIELD(pirn_affinity_info, distance, 24, 4);
FIELD(pirn_affinity_info, bridges, 28, 4);
FIELD(pirn_affinity_info, nearest, 32, 4);
FIELD(pirn_affinity_info, preferred, 36, 4);
FIELD(pirn_affinity_info, spare, 40, 4);
FIELD(pirn_affinity_info, reserved, 44, 4);

SIZE(pirn_peer_info, 176);
FIELD(pirn_peer_info, struct_size, 0, 8);
FIELD(pirn_peer_info, instance, 8, 16);
FIELD(pirn_peer_info, state, 24, 4);
FIELD(pirn_peer_info, rails, 28, 4);
FIELD(pirn_peer_info, provider, 32, 32);
FIELD(pirn_peer_info, path, 64, 16);
FIELD(pirn_peer_info, address, 80, 64);
FIELD(pirn_peer_info, in_flight, 144, 8);
FIELD(pirn_peer_info, bytes_written, 152, 8);
FIELD(pirn_peer_info, bytes_read, 160, 8);
FIELD(pirn_peer_info, spare_rails, 168, 4);
FIELD(pirn_peer_info, reserved, 172, 4);

SIZE(pirn_memory, 16);
FIELD(pirn_memory, address, 0, 8);
FIELD(pirn_memory, length, 8, 8);

SIZE(pirn_region_params, 16);
FIELD(pirn_region_params, struct_size, 0, 8);
FIELD(pirn_region_params, kind, 8, 4);
FIELD(pirn_region_params, reserved, 12, 4);

SIZE(pirn_transfer_params, 56);
FIELD(pirn_transfer_params, struct_size, 0, 8);
FIELD(pirn_transfer_params, notify, 8, 8);
FIELD(pirn_transfer_params, notify_length, 16, 8);
FIELD(pirn_transfer_params, timeout_ns, 24, 8);
FIELD(pirn_transfer_params, user_data, 32, 8);
FIELD(pirn_transfer_params, flags, 40, 8);
FIELD(pirn_transfer_params, path, 48, 8);

SIZE(pirn_segment, 40);
FIELD(pirn_segment, region, 0, 8);
FIELD(pirn_segment, local_offset, 8, 8);
FIELD(pirn_segment, window, 16, 8);
FIELD(pirn_segment, remote_offset, 24, 8);
FIELD(pirn_segment, length, 32, 8);

SIZE(pirn_result, 384);
FIELD(pirn_result, struct_size, 0, 8);
FIELD(pirn_result, transfer, 8, 8);
FIELD(pirn_result, user_data, 16, 8);
FIELD(pirn_result, bytes, 24, 8);
FIELD(pirn_result, peer, 32, 8);
FIELD(pirn_result, status, 40, 4);
FIELD(pirn_result, provider_error, 44, 4);
FIELD(pirn_result, path, 48, 16);
FIELD(pirn_result, rail, 64, 64);
FIELD(pirn_result, text, 128, 256);

SIZE(pirn_notification, 24);
FIELD(pirn_notification, struct_size, 0, 8);
FIELD(pirn_notification, peer, 8, 8);
FIELD(pirn_notification, length, 16, 8);

SIZE(pirn_trigger_info, 312);
FIELD(pirn_trigger_info, struct_size, 0, 8);
FIELD(pirn_trigger_info, posts, 8, 8);
FIELD(pirn_trigger_info, failed, 16, 8);
FIELD(pirn_trigger_info, device_status, 24, 8);
FIELD(pirn_trigger_info, status, 32, 4);
FIELD(pirn_trigger_info, path, 36, 16);
FIELD(pirn_trigger_info, text, 52, 256);
FIELD(pirn_trigger_info, reserved, 308, 4);

SIZE(pirn_device_kind_info, 40);
FIELD(pirn_device_kind_info, struct_size, 0, 8);
FIELD(pirn_device_kind_info, name, 8, 8);
FIELD(pirn_device_kind_info, version, 16, 8);
FIELD(pirn_device_kind_info, reason, 24, 8);
FIELD(pirn_device_kind_info, loaded, 32, 4);
FIELD(pirn_device_kind_info, device_count, 36, 4);

SIZE(pirn_device_info, 64);
FIELD(pirn_device_info, struct_size, 0, 8);
FIELD(pirn_device_info, name, 8, 8);
FIELD(pirn_device_info, description, 16, 8);
FIELD(pirn_device_info, pci_address, 24, 8);
FIELD(pirn_device_info, uuid, 32, 16);
FIELD(pirn_device_info, memory, 48, 8);
FIELD(pirn_device_info, features, 56, 4);
FIELD(pirn_device_info, reserved, 60, 4);

SIZE(pirn_device_link_info, 48);
FIELD(pirn_device_link_info, struct_size, 0, 8);
FIELD(pirn_device_link_info, kind, 8, 8);
FIELD(pirn_device_link_info, reason, 16, 8);
FIELD(pirn_device_link_info, speed, 24, 8);
FIELD(pirn_device_link_info, lanes, 32, 4);
FIELD(pirn_device_link_info, peer_access, 36, 4);
FIELD(pirn_device_link_info, atomics, 40, 4);
FIELD(pirn_device_link_info, distance, 44, 4);

_Static_assert(sizeof(pirn_status) == 4 && sizeof(pirn_transfer) == 8, "size of a handle changed");

#endif
