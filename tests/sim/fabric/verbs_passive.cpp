// SPDX-License-Identifier: Apache-2.0
// Passive endpoints: where connections are asked for.
#include "verbs.h"

#include <cstring>

namespace pirn::sim_nic {
namespace {

Passive &of(fid *object) { return *reinterpret_cast<Passive *>(object); }

int close_passive(fid *object) {
  Passive &passive = of(object);
  fi_close(&passive.inner->fid);
  if (passive.events) passive.events->users--;
  passive.fabric->children--;
  fi_freeinfo(passive.info);
  delete &passive;
  return 0;
}

int bind_passive(fid *object, fid *other, uint64_t flags) {
  if (other->fclass != FI_CLASS_EQ) return -FI_EINVAL;
  auto *events = reinterpret_cast<EventQueue *>(other);
  if (int rc = fi_pep_bind(of(object).inner, &events->inner->fid, flags)) return rc;
  of(object).events = events;
  events->users++;
  return 0;
}

int control_passive(fid *object, int command, void *argument) {
  return fi_control(&of(object).inner->fid, command, argument);
}

int set_name(fid *object, void *address, size_t length) { return fi_setname(&of(object).inner->fid, address, length); }
int get_name(fid *object, void *address, size_t *length) { return fi_getname(&of(object).inner->fid, address, length); }

int listen(fid_pep *object) {
  if (of(&object->fid).events) return fi_listen(of(&object->fid).inner);
  rule_broken(*of(&object->fid).fabric->persona, "fi_listen without an event queue");
  return -FI_ENOEQ;
}

int reject(fid_pep *object, fid *handle, const void *data, size_t length) {
  if (length > connection_data_limit) {
    rule_broken(*of(&object->fid).fabric->persona, "%zu bytes of connection data; %zu are carried", length,
                connection_data_limit);
    return -FI_EINVAL;
  }
  std::unique_ptr<Caller> caller(reinterpret_cast<Caller *>(handle));
  unsigned char whole[sizeof(Greeting) + connection_data_limit];
  Greeting greeting;
  memcpy(whole, &greeting, sizeof greeting);
  if (length) memcpy(whole + sizeof greeting, data, length);
  return fi_reject(of(&object->fid).inner, caller->inner_info->handle, whole, sizeof greeting + length);
}

int get_option(fid *, int level, int name, void *value, size_t *length) {
  if (level != FI_OPT_ENDPOINT || name != FI_OPT_CM_DATA_SIZE) return -FI_ENOPROTOOPT;
  if (*length < sizeof(size_t)) return -FI_ETOOSMALL;
  memcpy(value, &connection_data_limit, sizeof(size_t));
  *length = sizeof(size_t);
  return 0;
}

fi_ops_ep *option_calls() {
  static fi_ops_ep calls = [] {
    fi_ops_ep o = no_options();
    o.getopt = get_option;
    return o;
  }();
  return &calls;
}

fi_ops_cm *connection_calls() {
  static fi_ops_cm calls = [] {
    fi_ops_cm o = no_connections();
    o.setname = set_name;
    o.getname = get_name;
    o.listen = listen;
    o.reject = reject;
    return o;
  }();
  return &calls;
}

}  // namespace

int open_passive(fid_fabric *object, fi_info *info, fid_pep **out, void *context) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_passive;
    o.bind = bind_passive;
    o.control = control_passive;
    return o;
  }();
  auto *fabric = reinterpret_cast<Fabric *>(object);
  if (!fabric->persona->connected) return -FI_ENOSYS;
  auto passive = std::make_unique<Passive>();
  passive->fabric = fabric;
  passive->rail = rail_of(*info);
  if (passive->rail == device_count()) return -FI_ENODEV;
  fi_info *inner = fi_dupinfo(fabric->inner_info);
  passive->info = fi_dupinfo(info);
  sockaddr_in source = rail_address(passive->rail, 0);
  if (info->src_addr) memcpy(&source.sin_port, &static_cast<sockaddr_in *>(info->src_addr)->sin_port, sizeof(in_port_t));
  memcpy(inner->src_addr, &source, sizeof source);
  int rc = fi_passive_ep(fabric->inner, inner, &passive->inner, passive.get());
  fi_freeinfo(inner);
  if (rc) {
    fi_freeinfo(passive->info);
    return rc;
  }
  passive->fid.fid = {FI_CLASS_PEP, context, &operations};
  passive->fid.ops = option_calls();
  passive->fid.cm = connection_calls();
  fabric->children++;
  *out = &passive.release()->fid;
  return 0;
}

}  // namespace pirn::sim_nic
