// SPDX-License-Identifier: Apache-2.0
// Everything pirn-info reports, as one JSON document; documented in README.md beside it.
#pragma once

#include <pirn/pirn.h>

#include <nlohmann/json.hpp>

#include <stdexcept>
#include <string>
#include <vector>

// Calls read(context, index, &info) from 0 until RANGE and hands each item to take. Throws as collect() does.
template <typename Info, typename Read, typename Take>
void for_each_info(pirn_context *context, Read read, Take take) {
  for (uint64_t index = 0;; ++index) {
    Info info{};
    info.struct_size = sizeof info;
    const pirn_status status = read(context, index, &info);
    if (status == PIRN_ERR_RANGE) return;
    if (status != PIRN_OK) throw std::runtime_error(pirn_last_error());
    take(info);
  }
}

// Reads the lists of the context, those of devices left out (devices.h). Throws std::runtime_error with pirn's words.
nlohmann::json collect(pirn_context *context);

// Left-aligned columns; the last one is not padded.
void print_table(const std::vector<std::vector<std::string>> &rows);

void print_overview(const nlohmann::json &facts);
void print_settings(const nlohmann::json &facts);
