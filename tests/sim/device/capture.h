// SPDX-License-Identifier: Apache-2.0
// Recording the work of streams into graphs, and running those. All need the engine's lock.
#pragma once

#include "call.h"
#include "engine.h"

namespace pirn::fake_gpu {

int &thread_mode();  // of this thread: 0 global, 1 thread-local, 2 relaxed
// An error if some stream captures in a mode that forbids this call to this thread; the capture is then lost.
Code refuse_while_capturing(const char *name);
Code invalidate(Capture &capture);  // returns capture_unsupported

Code begin_capture(const std::shared_ptr<Stream> &stream, int mode);
Code end_capture(const std::shared_ptr<Stream> &stream, std::shared_ptr<Graph> &graph);
// Makes `work` a node if the stream captures.
Code capture_work(const char *name, const std::shared_ptr<Stream> &stream, Work &work, bool &captured);
Code capture_event(Event &event, const std::shared_ptr<Stream> &stream);
Code join_capture(const std::shared_ptr<Event> &event, const std::shared_ptr<Stream> &stream);

Work graph_work(const std::shared_ptr<Graph> &graph);  // for one launch

}  // namespace pirn::fake_gpu
