// SPDX-License-Identifier: Apache-2.0
// What most files of this layer include, parsed once. Each includes what it needs all the same: -Db_pch=false.
#include "core/endpoint.h"

#include <algorithm>
#include <cstring>
