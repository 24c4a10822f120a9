// SPDX-License-Identifier: Apache-2.0
// One thing that pirn-doctor has to say about a node.
#pragma once

#include <string>
#include <vector>

namespace doctor {

enum class Severity {
  ok,       // looked at, nothing to do
  note,     // worth knowing; nothing is wrong
  warning,  // works, but slower, with less, or not for long
  problem,  // something that is wanted here does not work
};

struct Finding {
  std::string id;  // stable; listed in README.md
  Severity severity;
  std::string subject;  // what it is about: "mlx5_0 port 1", "FI_PROVIDER"; "" for the node
  std::string seen;
  std::string means;   // "" if severity is ok and there is nothing to add
  std::string remedy;  // "" if severity is ok
  std::vector<std::string> providers{};  // pirn's names of those it matters to; empty: all
};

using Findings = std::vector<Finding>;

const char *severity_name(Severity severity);

}  // namespace doctor
