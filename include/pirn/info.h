/* SPDX-License-Identifier: Apache-2.0 */
/* pirn/info.h: what this build and this machine offer, and what was configured.
 *
 * Lists are read by index from 0 until the call returns PIRN_ERR_RANGE. Strings
 * belong to the context and live as long as it does. Any thread. */
#ifndef PIRN_INFO_H
#define PIRN_INFO_H

#include <pirn/context.h>

#define PIRN_SOURCE_DEFAULT 0u
#define PIRN_SOURCE_ENVIRONMENT 1u
#define PIRN_SOURCE_PARAMS 2u

typedef struct pirn_setting_info {
  size_t struct_size;
  const char *name;          /* "PIRN_PROVIDER" */
  const char *value;         /* as in force */
  const char *default_value;
  const char *allowed;       /* "auto, tcp, shm, ..." or "4K..64M" */
  const char *doc;
  uint32_t source;           /* PIRN_SOURCE_* */
  uint32_t reserved;
} pirn_setting_info;

/* One provider profile that pirn knows. */
typedef struct pirn_provider_info {
  size_t struct_size;
  const char *name;    /* pirn's name: "tcp" */
  const char *fabric;  /* libfabric's provider name in use: "net", "tcp;ofi_rxm"; "" if none */
  const char *reason;  /* why it is not usable; "" if it is */
  uint32_t usable;     /* 1 or 0 */
  uint32_t nic_count;
} pirn_provider_info;

/* One NIC (libfabric domain and address) of a usable provider. */
typedef struct pirn_nic_info {
  size_t struct_size;
  const char *provider;    /* pirn's name */
  const char *name;        /* domain: "mlx5_0", "eth0" */
  const char *address;     /* printable source address */
  const char *pci_address; /* "0000:21:00.0"; "" if not a PCI device */
  uint64_t link_speed;     /* bits per second; 0 if unknown */
  uint64_t max_message_size;
} pirn_nic_info;

/* Nearer places have smaller numbers. */
#define PIRN_DISTANCE_SWITCH 0u
#define PIRN_DISTANCE_HOST_BRIDGE 1u
#define PIRN_DISTANCE_NUMA 2u
#define PIRN_DISTANCE_PACKAGE 3u
#define PIRN_DISTANCE_MACHINE 4u
#define PIRN_DISTANCE_UNKNOWN 5u

/* How far a NIC is from a place in this machine. */
typedef struct pirn_affinity_info {
  size_t struct_size;
  const char *provider;
  const char *name;
  uint32_t distance;   /* PIRN_DISTANCE_*: the lowest thing that the two have in common */
  uint32_t bridges;    /* PCI bridges from the place up to the common one; 0 where that is none */
  uint32_t nearest;    /* 1: no NIC of this provider is nearer */
  uint32_t preferred;  /* 1: the place uses it first; several devices share what is nearest to all of them */
  uint32_t spare;      /* n > 0: the n-th spare of the place, used while no preferred one works (PIRN_SPARE_NICS) */
  uint32_t reserved;
} pirn_affinity_info;

/* One kind of device that pirn can work with. */
typedef struct pirn_device_kind_info {
  size_t struct_size;
  const char *name;     /* "cuda"; its devices are "cuda:0", ... */
  const char *version;  /* of its driver and runtime; "" unless loaded */
  const char *reason;   /* why no device of it is usable; "" if one is */
  uint32_t loaded;      /* 1: its runtime was found and runs in this process */
  uint32_t device_count;
} pirn_device_kind_info;

#define PIRN_DEVICE_SHARES_FILES 1u    /* its memory can be shared by file descriptor */
#define PIRN_DEVICE_SHARES_FABRIC 2u   /* by handles that cross hosts */
#define PIRN_DEVICE_SHARES_LEGACY 4u   /* plain allocations, by handles of this host */
#define PIRN_DEVICE_WAITS_ON_WORDS 8u  /* its streams can wait for words of host memory */
#define PIRN_DEVICE_HAS_KERNELS 16u    /* pirn has kernels for it: many small blocks move fast */
#define PIRN_DEVICE_DMA_BUF 32u        /* its memory can be exported as dma-buf */

/* One device that this process sees. */
typedef struct pirn_device_info {
  size_t struct_size;
  const char *name;         /* "cuda:0": numbered as this process sees them */
  const char *description;  /* the vendor's name for it */
  const char *pci_address;  /* "0000:21:00.0" */
  uint8_t uuid[16];
  uint64_t memory;          /* bytes */
  uint32_t features;        /* PIRN_DEVICE_* */
  uint32_t reserved;
} pirn_device_info;

/* How one device reaches the memory of another one. */
typedef struct pirn_device_link_info {
  size_t struct_size;
  const char *kind;      /* "NVLink", "xGMI", "PCIe"; "" if unknown */
  const char *reason;    /* why the kind is unknown, or there is no direct access; "" if neither */
  uint64_t speed;        /* bits per second in one direction, of all lanes; 0 if unknown */
  uint32_t lanes;        /* links of this kind side by side; 0 if unknown */
  uint32_t peer_access;  /* 1: directly, without the host between the two */
  uint32_t atomics;      /* 1: also by atomic operations */
  uint32_t distance;     /* PIRN_DISTANCE_*: on PCI, the lowest thing that the two have in common */
} pirn_device_link_info;

#ifdef __cplusplus
extern "C" {
#endif

PIRN_API pirn_status pirn_info_setting(pirn_context *context, uint64_t index, pirn_setting_info *info);
PIRN_API pirn_status pirn_info_provider(pirn_context *context, uint64_t index, pirn_provider_info *info);
PIRN_API pirn_status pirn_info_nic(pirn_context *context, uint64_t index, pirn_nic_info *info);

/* The first call of these two, or of the two after them, loads the runtime of every kind of device that is installed, which takes up to a second each. */
PIRN_API pirn_status pirn_info_device_kind(pirn_context *context, uint64_t index, pirn_device_kind_info *info);
PIRN_API pirn_status pirn_info_device(pirn_context *context, uint64_t index, pirn_device_info *info);

/* Why the device lacks one feature: PIRN_DEVICE_*. *reason: "" if it has it; belongs to the context. INVALID: `feature`
 * is none of them. */
PIRN_API pirn_status pirn_info_device_lacks(pirn_context *context, uint64_t index, uint32_t feature,
                                            const char **reason);

/* From one device to another one, both as indices into pirn_info_device's list. The first call may load further
 * libraries of the vendors, which takes up to a second each. INVALID: they are the same. */
PIRN_API pirn_status pirn_info_device_link(pirn_context *context, uint64_t index, uint64_t peer,
                                           pirn_device_link_info *info);

/* Of the NIC with this index in pirn_info_nic's list. `place` is a device by PCI address ("0000:21:00.0", "21:00.0"),
 * memory of a NUMA node by the system's number ("numa:0"), or NULL: memory of the CPUs that this thread is bound to.
 * A place that this machine does not have is UNKNOWN to all NICs. INVALID: `place` is none of these forms.
 * UNAVAILABLE: the topology of the machine cannot be read. */
PIRN_API pirn_status pirn_info_affinity(pirn_context *context, const char *place, uint64_t index,
                                        pirn_affinity_info *info);

/* Why a provider and each of its NICs would or would not be chosen by an endpoint that this thread opened now without
 * demands of its own: text for people, a line each, which may change from release to release. provider: pirn's name for
 * it ("tcp"); NULL: all. Opens nothing; the first call asks libfabric and reads the topology, which takes some 100 ms;
 * waits for nothing else. *length: in: room, out: size with the terminating zero; TOO_SMALL stores the needed size;
 * buffer may be NULL to ask for it. INVALID: `provider` is unknown. */
PIRN_API pirn_status pirn_info_explain(pirn_context *context, const char *provider, char *buffer, size_t *length);

/* "1.17.0": version of the libfabric that is loaded. Static storage. */
PIRN_API const char *pirn_info_libfabric_version(void);

/* One line on how this library was built: compiler, libfabric headers, features. Static storage. */
PIRN_API const char *pirn_info_build(void);

#ifdef __cplusplus
}
#endif
#endif
