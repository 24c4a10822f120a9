// SPDX-License-Identifier: Apache-2.0
#include "finding.h"

namespace doctor {

const char *severity_name(Severity severity) {
  switch (severity) {
    case Severity::ok: return "ok";
    case Severity::note: return "note";
    case Severity::warning: return "warning";
    default: return "problem";
  }
}

}  // namespace doctor
