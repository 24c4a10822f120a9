// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace pirn::sim_nic {
namespace {

// FI_PROVIDER=efa would hide the inner provider from this call, too; libfabric's own layers ask with this bit, which
// it keeps in no public header. With it the order of providers is not applied, so the name is compared exactly.
constexpr uint64_t include_hidden = uint64_t{1} << 60;

int close_fabric(fid *object) {
  auto *fabric = reinterpret_cast<Fabric *>(object);
  if (fabric->children) {
    rule_broken(*fabric->persona, "fi_close of a fabric with %zu objects open", fabric->children);
    return -FI_EBUSY;
  }
  fi_close(&fabric->inner->fid);
  fi_freeinfo(fabric->inner_info);
  delete fabric;
  return 0;
}

int trywait(fid_fabric *object, fid **fids, int count) {
  auto *fabric = reinterpret_cast<Fabric *>(object);
  for (int i = 0; i < count; i++) {
    if (fids[i]->fclass == FI_CLASS_EQ) {
      if (int rc = events_trywait(*fabric, *reinterpret_cast<EventQueue *>(fids[i]))) return rc;
    }
    if (fids[i]->fclass != FI_CLASS_CQ) continue;
    auto *queue = reinterpret_cast<Queue *>(fids[i]);
    Guard guard(*queue->domain);
    drain(*queue);
    if (!queue->entries.empty() || pending_work(*queue)) return -FI_EAGAIN;
    fid *inner = &queue->inner->fid;
    if (int rc = fi_trywait(fabric->inner, &inner, 1)) return rc;
  }
  return 0;
}

fi_info *ask(const char *provider, fi_ep_type type) {
  fi_info *hints = fi_allocinfo(), *list = nullptr, *found = nullptr;
  if (!hints) return nullptr;
  hints->caps = FI_MSG | FI_RMA | FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE;
  hints->mode = 0;  // contexts are numbers (context_of)
  hints->ep_attr->type = type;
  hints->domain_attr->threading = FI_THREAD_SAFE;
  hints->addr_format = FI_SOCKADDR_IN;
  hints->fabric_attr->prov_name = strdup(provider);
  if (fi_getinfo(FI_VERSION(1, 17), "127.0.0.1", nullptr, FI_SOURCE | include_hidden, hints, &list) == 0) {
    for (fi_info *info = list; info && !found; info = info->next)
      if (strcmp(info->fabric_attr->prov_name, provider) == 0 && info->domain_attr->mr_mode == 0)
        found = fi_dupinfo(info);
    fi_freeinfo(list);
  }
  fi_freeinfo(hints);
  return found;
}

// The native RDM provider is "net" in 1.16 and 1.17, and "tcp" later; there "net" does not exist.
fi_info *find_inner(const Persona &persona) {
  fi_ep_type type = persona.connected ? FI_EP_MSG : FI_EP_RDM;
  if (const char *chosen = getenv("PIRN_SIM_INNER")) return ask(chosen, type);
  fi_info *info = persona.connected ? nullptr : ask("net", type);
  return info ? info : ask("tcp", type);
}

const Persona *persona_of(const fi_fabric_attr &attr) {
  for (const Persona &persona : personas())
    if (attr.name && strcmp(attr.name, persona.fabric) == 0) return &persona;
  return nullptr;
}

}  // namespace

void rule_broken(const Persona &persona, const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  fprintf(stderr, "pirn-sim %s: rule broken: %s\n", persona.connected ? persona.provider : persona.fabric, line);
}

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

int open_fabric(fi_fabric_attr *attr, fid_fabric **out, void *context) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_fabric;
    return o;
  }();
  static fi_ops_fabric calls = [] {
    fi_ops_fabric o = {};
    o.size = sizeof o;
    o.domain = open_domain;
    o.eq_open = open_events;
    o.trywait = trywait;
    o.passive_ep = open_passive;
    refuse(o.wait_open);
    refuse(o.domain2);
    return o;
  }();
  const Persona *persona = persona_of(*attr);
  if (!persona) return -FI_ENODATA;
  auto fabric = std::make_unique<Fabric>();
  fabric->persona = persona;
  fabric->inner_info = find_inner(*persona);
  if (!fabric->inner_info) {
    fprintf(stderr, "pirn-sim %s: no inner provider: \"net\" or \"tcp\" with %s endpoints is needed\n", persona->provider,
            persona->connected ? "MSG" : "RDM");
    return -FI_ENODEV;
  }
  if (int rc = fi_fabric(fabric->inner_info->fabric_attr, &fabric->inner, nullptr)) {
    fi_freeinfo(fabric->inner_info);
    return rc;
  }
  fabric->fid.fid = {FI_CLASS_FABRIC, context, &operations};
  fabric->fid.ops = &calls;
  fabric->fid.api_version = fi_version();
  *out = &fabric.release()->fid;
  return 0;
}

}  // namespace pirn::sim_nic
