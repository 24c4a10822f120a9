// SPDX-License-Identifier: Apache-2.0
// What share_encode.cpp and share_decode.cpp agree on. Private to them.
#pragma once

#include "wire/share.h"

namespace pirn::wire {

constexpr uint32_t share_magic = 0x4c726970;  // "pirL"

// The limits of an answer that came, or is to go, with `files` descriptors.
Status check_share_answer(const ShareAnswer &answer, size_t files);

}  // namespace pirn::wire
