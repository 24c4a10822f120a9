// SPDX-License-Identifier: Apache-2.0
// Who may reach which memory.
#include "memory.h"
#include "report.h"

#include <algorithm>

namespace pirn::fake_gpu {

namespace {

unsigned long long number(uint64_t address) { return address; }

Code may_reach(const Context &context, const Mapping &mapping, Use use) {
  if (!mapping.on_device()) return ok;
  Code refusal = use.kernel ? illegal_address : invalid_value;
  uint32_t unit = mapping.chunk->unit();
  if (mapping.chunk->imported() && mapping.chunk->freed_by_owner()) {
    report("misuse", "imported memory at %#llx is used after its owner freed it", number(mapping.base));
    return illegal_address;
  }
  if (mapping.kind == Kind::chunk) {
    auto granted = mapping.access.find(context.unit);
    uint32_t needed = use.write ? 2 : 1;
    if (granted != mapping.access.end() && (granted->second & needed)) return ok;
    report("misuse", "device %u has no %s access to mapped memory at %#llx", context.ordinal,
           use.write ? "write" : "read", number(mapping.base));
    return refusal;
  }
  // A copy without peer access takes the driver's detour through host memory.
  if (!use.kernel || unit == context.unit || context.peers.count(unit)) return ok;
  if (mapping.kind == Kind::imported && mapping.context->unit == context.unit) return ok;
  report("misuse", "a kernel of device %u reaches %s memory at %#llx of another without peer access", context.ordinal,
         kind_name(mapping.kind), number(mapping.base));
  return illegal_address;
}

}  // namespace

bool is_pageable(uint64_t address) { return !find_mapping(address) && !was_device_memory(address); }

Code resolve(const Context &context, Range range, Use use, std::vector<Span> &spans) {
  Code refusal = use.kernel ? illegal_address : invalid_value;
  if (is_pageable(range.base)) {
    if (use.kernel) {
      report("misuse", "a kernel reaches host memory at %#llx that is not page-locked", number(range.base));
      return illegal_address;
    }
    spans.push_back({reinterpret_cast<std::byte *>(range.base), range.length, nullptr});
    return ok;
  }
  Kind first = Kind::plain;
  for (uint64_t done = 0; done < range.length;) {
    uint64_t address = range.base + done;
    Mapping *mapping = find_mapping(address);
    if (!mapping) {
      report("misuse", "%#llx is used, which is device memory no more, or not yet", number(address));
      return refusal;
    }
    // Only mapped chunks lie side by side; another allocation is reached by accident.
    if (done == 0) first = mapping->kind;
    if (done > 0 && (first != Kind::chunk || mapping->kind != first)) {
      report("misuse", "%#llx + %llu reaches beyond its allocation", number(range.base), number(range.length));
      return refusal;
    }
    if (Code code = may_reach(context, *mapping, use); code != ok) return code;
    uint64_t offset = address - mapping->base;
    uint64_t length = std::min(range.length - done, mapping->length - offset);
    spans.push_back({mapping->bytes + offset, length, mapping->chunk});
    done += length;
  }
  return ok;
}

}  // namespace pirn::fake_gpu
