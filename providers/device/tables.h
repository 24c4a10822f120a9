// SPDX-License-Identifier: Apache-2.0
// The tables of all vendors, one per file of this directory.
#pragma once

#include "device/operations.h"

namespace pirn::device {

const Operations &cuda_table();
const Operations &hip_table();

}  // namespace pirn::device
