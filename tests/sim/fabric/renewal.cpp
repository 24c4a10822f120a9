// SPDX-License-Identifier: Apache-2.0
// Nothing of the inner provider outlives an endpoint. "net" of libfabric 1.17 spoils the domain of an endpoint that is
// closed while the answer to a read comes in (the read's record is freed twice), and a connection that had said nothing
// yet refers to the closed endpoint for ever.
#include "sim.h"

#include <cstdio>
#include <cstdlib>

namespace pirn::sim_nic {
namespace {

void check(const Domain &domain, int rc, const char *what) {
  if (!rc) return;
  fprintf(stderr, "pirn-sim %s: %s of the inner provider cannot be opened anew: %s\n", domain.persona->fabric, what,
          fi_strerror(-rc));
  abort();
}

}  // namespace

void renew_inner(Domain &domain) {
  if (!domain.endpoints.empty()) return;
  for (const auto &[number, request] : domain.live) delete request;
  domain.live.clear();
  domain.orphans.clear();
  fid_domain *old = domain.inner;
  check(domain, fi_domain(domain.fabric->inner, domain.fabric->inner_info, &domain.inner, nullptr), "the domain");
  for (Registration *registration : domain.registrations) {
    if (registration->inner) fi_close(&registration->inner->fid);
    check(domain, open_inner(*registration), "a registration");
  }
  for (Queue *queue : domain.queues) {
    fid_cq *before = queue->inner;
    check(domain, open_inner(*queue), "a completion queue");
    fi_close(&before->fid);
  }
  for (AddressVector *av : domain.vectors) {
    fi_close(&av->inner->fid);
    check(domain, open_inner(*av), "an address vector");
  }
  fi_close(&old->fid);
}

}  // namespace pirn::sim_nic
