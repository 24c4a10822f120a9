// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <cstring>
#include <random>

namespace pirn::sim_nic {
namespace {

int close_domain(fid *object) {
  auto *domain = reinterpret_cast<Domain *>(object);
  if (domain->children) {
    rule_broken(*domain->persona, "fi_close of a domain with %zu objects open", domain->children);
    return -FI_EBUSY;
  }
  if (domain->persona->connected) close_port(*domain);
  fi_close(&domain->inner->fid);
  for (Request *request : domain->orphans) delete request;
  domain->fabric->children--;
  delete domain;
  return 0;
}

bool find_rail(const fi_info &info, size_t &rail) {
  for (rail = 0; rail < device_count(); rail++)
    if (info.domain_attr->name && device(rail).domain == info.domain_attr->name) return true;
  return false;
}

fi_ops_domain *domain_calls() {
  static fi_ops_domain calls = [] {
    fi_ops_domain o = {};
    o.size = sizeof o;
    o.av_open = open_addresses;
    o.cq_open = open_queue;
    o.endpoint = open_endpoint;
    refuse(o.scalable_ep);
    refuse(o.cntr_open);
    refuse(o.poll_open);
    refuse(o.stx_ctx);
    o.srx_ctx = open_shared_receives;
    refuse(o.query_atomic);
    refuse(o.query_collective);
    refuse(o.endpoint2);
    return o;
  }();
  return &calls;
}

}  // namespace

fi_ops no_operations() {
  fi_ops o = {};
  o.size = sizeof o;
  refuse(o.close);
  refuse(o.bind);
  refuse(o.control);
  refuse(o.ops_open);
  refuse(o.tostr);
  refuse(o.ops_set);
  return o;
}

fi_ops_ep no_options() {
  fi_ops_ep o = {};
  o.size = sizeof o;
  refuse(o.cancel);
  refuse(o.getopt);
  refuse(o.setopt);
  refuse(o.tx_ctx);
  refuse(o.rx_ctx);
  refuse(o.rx_size_left);
  refuse(o.tx_size_left);
  return o;
}

fi_ops_cm no_connections() {
  fi_ops_cm o = {};
  o.size = sizeof o;
  refuse(o.setname);
  refuse(o.getname);
  refuse(o.getpeer);
  refuse(o.connect);
  refuse(o.listen);
  refuse(o.accept);
  refuse(o.reject);
  refuse(o.shutdown);
  refuse(o.join);
  return o;
}

int open_domain(fid_fabric *object, fi_info *info, fid_domain **out, void *context) {
  static fi_ops operations = [] {
    fi_ops o = no_operations();
    o.close = close_domain;
    return o;
  }();
  auto *fabric = reinterpret_cast<Fabric *>(object);
  const Persona &persona = *fabric->persona;
  auto domain = std::make_unique<Domain>();
  if (!find_rail(*info, domain->rail)) return -FI_ENODEV;
  if ((info->domain_attr->mr_mode & persona.mr_required) != persona.mr_required) {
    rule_broken(persona, "fi_domain with mr_mode 0x%x; 0x%x is required", info->domain_attr->mr_mode,
                persona.mr_required);
    return -FI_EINVAL;
  }
  if (int rc = fi_domain(fabric->inner, fabric->inner_info, &domain->inner, nullptr)) return rc;
  domain->fabric = fabric;
  domain->persona = &persona;
  domain->mr_mode = info->domain_attr->mr_mode & (persona.mr_required | persona.mr_optional);
  domain->device_memory = info->caps & FI_HMEM;
  domain->ways = ways_of(domain->rail);
  domain->single_threaded = info->domain_attr->threading == FI_THREAD_DOMAIN;
  domain->next_key = std::random_device()();
  if (int rc = persona.connected ? open_port(*domain) : 0) {
    fi_close(&domain->inner->fid);
    return rc;
  }
  domain->fid.fid = {FI_CLASS_DOMAIN, context, &operations};
  domain->fid.ops = domain_calls();
  domain->fid.mr = registration_calls();
  fabric->children++;
  *out = &domain.release()->fid;
  return 0;
}

}  // namespace pirn::sim_nic
