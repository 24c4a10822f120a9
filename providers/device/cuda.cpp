// SPDX-License-Identifier: Apache-2.0
#include "cuda_table.h"
#include "tables.h"

namespace pirn::device {
namespace {

Operations make_table() {
  Operations table = unsupported("cuda");
  table.fabric_interface = 1;  // FI_HMEM_CUDA
  table.load = cuda::load;
  table.devices = cuda::devices;
  table.version = cuda::version;
  table.link = cuda::link;
  table.identify = cuda::identify;
  table.allocate = cuda::allocate;
  table.release = cuda::release;
  table.allocate_host = cuda::allocate_host;
  table.release_host = cuda::release_host;
  table.pin = cuda::pin;
  table.unpin = cuda::unpin;
  table.share = cuda::share;
  table.map = cuda::map;
  table.unmap = cuda::unmap;
  table.enable_peer = cuda::enable_peer;
  table.dma_buf = cuda::dma_buf;
  table.order_with_nics = cuda::order_with_nics;
  table.remote_writes = cuda::remote_writes;
  table.flush_remote_writes = cuda::flush_remote_writes;
  table.make_stream = cuda::make_stream;
  table.drop_stream = cuda::drop_stream;
  table.make_event = cuda::make_event;
  table.drop_event = cuda::drop_event;
  table.record = cuda::record;
  table.reached = cuda::reached;
  table.copy = cuda::copy;
  table.copy_blocks = cuda::copy_blocks;
  table.copy_selected = cuda::copy_selected;
  table.finish = cuda::finish;
  table.device_of = cuda::device_of;
  table.capturing = cuda::capturing;
  table.wait_word = cuda::wait_word;
  table.write_word = cuda::write_word;
  return table;
}

}  // namespace

const Operations &cuda_table() {
  static const Operations table = make_table();
  return table;
}

}  // namespace pirn::device
