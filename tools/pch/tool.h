// SPDX-License-Identifier: Apache-2.0
// What most files of the tools include, parsed once. Each includes what it needs all the same: -Db_pch=false.
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
