// SPDX-License-Identifier: Apache-2.0
// Findings as text, as JSON and as exit status; the last two are documented in README.md and stable.
#pragma once

#include "finding.h"

#include <nlohmann/json.hpp>

namespace doctor {

enum class Detail {
  quiet,    // warnings and problems, a line each
  normal,   // notes too; what it means and the remedy
  explain,  // also what was looked at and is right
};

std::string to_text(const Findings &findings, Detail detail);

struct Examined {
  std::string root, provider, version, libfabric;
};
nlohmann::json to_json(const Findings &findings, const Examined &examined);

// 0 nothing wrong, 1 warnings, 2 problems.
int exit_status(const Findings &findings);

}  // namespace doctor
