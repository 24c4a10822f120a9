// SPDX-License-Identifier: Apache-2.0
// Everything pirn-info reports, as one JSON document; documented in README.md beside it.
#pragma once

#include <pirn/pirn.h>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

// Reads the lists of the context. Throws std::runtime_error with pirn's words.
nlohmann::json collect(pirn_context *context);

// Left-aligned columns; the last one is not padded.
void print_table(const std::vector<std::vector<std::string>> &rows);

void print_overview(const nlohmann::json &facts);
void print_settings(const nlohmann::json &facts);
