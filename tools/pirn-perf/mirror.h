// SPDX-License-Identifier: Apache-2.0
// A host copy of device memory of this process, to set and see its bytes. They move through pirn's own path "self",
// between two endpoints that nothing else uses: what is measured does not notice.
#pragma once

#include "memory.h"

class Mirror {
 public:
  // The memory must outlive it.
  Mirror(pirn_context *context, const Options &options, void *memory, uint64_t bytes);

  unsigned char *data() const { return static_cast<unsigned char *>(copy_.address()); }
  void push(const std::vector<Range> &ranges) { move(ranges, pirn_writev); }
  void pull(const std::vector<Range> &ranges);

 private:
  using Call = pirn_status (*)(const pirn_segment *, uint64_t, const pirn_transfer_params *, pirn_transfer *);
  void move(const std::vector<Range> &ranges, Call call);

  Options options_;
  Storage copy_;
  Endpoint owner_, visitor_;
  Lent memory_;  // at owner_
  Region region_;  // of the copy, at visitor_
  Peer peer_;
  Window window_;
};
