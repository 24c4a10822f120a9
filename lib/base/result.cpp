// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include "base/text.h"

namespace pirn {

Status fail(pirn_status code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  Status status{code, text_v(format, args)};
  va_end(args);
  return status;
}

}  // namespace pirn
