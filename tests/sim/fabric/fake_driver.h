// SPDX-License-Identifier: Apache-2.0
// What the tests call of the fake CUDA driver, which they link.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
using CUpointer = unsigned long long;
int cuInit(unsigned flags);
int cuDevicePrimaryCtxRetain(void **context, int device);
int cuCtxSetCurrent(void *context);
int cuMemAlloc_v2(CUpointer *address, size_t length);
int cuMemFree_v2(CUpointer address);
int cuMemcpy(CUpointer to, CUpointer from, size_t length);
int cuPointerSetAttribute(const void *value, int attribute, CUpointer address);
int cuMemGetHandleForAddressRange(void *handle, CUpointer address, size_t length, int type, uint64_t flags);
}
