// SPDX-License-Identifier: Apache-2.0
#include "capture.h"

#include "report.h"

#include <algorithm>

namespace pirn::fake_gpu {

namespace {

std::vector<std::shared_ptr<Capture>> live_captures() {
  std::vector<std::shared_ptr<Capture>> live;
  for (const auto &weak : engine().captures)
    if (auto capture = weak.lock()) live.push_back(capture);
  return live;
}

bool captures_in(const Context &context) {
  for (const auto &capture : live_captures())
    if (auto origin = capture->origin.lock(); origin && origin->context == &context && origin->blocking) return true;
  return false;
}

void merge(std::vector<size_t> &frontier, const std::vector<size_t> &more) {
  for (size_t node : more)
    if (std::find(frontier.begin(), frontier.end(), node) == frontier.end()) frontier.push_back(node);
}

// Whether everything that was recorded comes before the end of the origin.
bool is_joined(const Capture &capture, const std::vector<size_t> &frontier) {
  std::vector<bool> seen(capture.nodes.size());
  std::vector<size_t> next = frontier;
  while (!next.empty()) {
    size_t node = next.back();
    next.pop_back();
    if (seen[node]) continue;
    seen[node] = true;
    next.insert(next.end(), capture.nodes[node].needs.begin(), capture.nodes[node].needs.end());
  }
  return std::all_of(seen.begin(), seen.end(), [](bool reached) { return reached; });
}

void leave(const std::shared_ptr<Capture> &capture) {
  for (const auto &weak : capture->joined)
    if (auto stream = weak.lock(); stream && stream->capture == capture) {
      stream->capture.reset();
      stream->frontier.clear();
    }
}

}  // namespace

int &thread_mode() {
  thread_local int mode = 0;
  return mode;
}

Code invalidate(Capture &capture) {
  capture.valid = false;
  return capture_unsupported;
}

Code refuse_while_capturing(const char *name) {
  if (thread_mode() == 2) return ok;
  Code code = ok;
  for (const auto &capture : live_captures()) {
    bool own = capture->thread == std::this_thread::get_id();
    if (capture->mode == 2 || (!own && (capture->mode == 1 || thread_mode() == 1))) continue;
    report("misuse", "%s while a stream captures%s", name, own ? "" : " in another thread");
    code = invalidate(*capture);
  }
  return code;
}

Code begin_capture(const std::shared_ptr<Stream> &stream, int mode) {
  if (stream->capture) return capture_unsupported;
  if (stream == stream->context->null_stream) return capture_unsupported;
  if (mode < 0 || mode > 2) return invalid_value;
  auto capture = std::make_shared<Capture>();
  capture->mode = mode;
  capture->id = engine().next_id++;
  capture->thread = std::this_thread::get_id();
  capture->origin = stream;
  capture->joined.push_back(stream);
  stream->capture = capture;
  stream->frontier.clear();
  auto &captures = engine().captures;
  captures.erase(std::remove_if(captures.begin(), captures.end(), [](const auto &weak) { return weak.expired(); }),
                 captures.end());
  captures.push_back(capture);
  return ok;
}

Code end_capture(const std::shared_ptr<Stream> &stream, std::shared_ptr<Graph> &graph) {
  std::shared_ptr<Capture> capture = stream->capture;
  if (!capture) return invalid_value;
  if (capture->origin.lock() != stream) return capture_unmatched;
  if (capture->mode != 2 && capture->thread != std::this_thread::get_id()) return capture_wrong_thread;
  bool joined = is_joined(*capture, stream->frontier);
  leave(capture);
  if (!capture->valid) return capture_invalidated;
  if (!joined) return capture_unjoined;
  graph = std::make_shared<Graph>();
  graph->nodes = std::move(capture->nodes);
  return ok;
}

Code capture_work(const char *name, const std::shared_ptr<Stream> &stream, Work &work, bool &captured) {
  captured = stream->capture != nullptr;
  if (!captured) {
    if (stream != stream->context->null_stream || !captures_in(*stream->context)) return ok;
    report("misuse", "%s in the null stream while a blocking stream captures", name);
    for (const auto &capture : live_captures()) invalidate(*capture);
    return capture_implicit;
  }
  Capture &capture = *stream->capture;
  if (!capture.valid) return capture_invalidated;
  capture.nodes.push_back({std::move(work), stream->frontier});
  stream->frontier = {capture.nodes.size() - 1};
  return ok;
}

Code capture_event(Event &event, const std::shared_ptr<Stream> &stream) {
  if (!stream->capture->valid) return capture_invalidated;
  event.captured = true;
  event.capture = stream->capture;
  event.frontier = stream->frontier;
  return ok;
}

Code join_capture(const std::shared_ptr<Event> &event, const std::shared_ptr<Stream> &stream) {
  std::shared_ptr<Capture> capture = event->capture.lock();
  if (!capture) return captured_event;
  if (stream->capture && stream->capture != capture) return capture_merge;
  if (stream == stream->context->null_stream) return capture_implicit;
  if (!stream->capture) {
    stream->capture = capture;
    stream->frontier.clear();
    capture->joined.push_back(stream);
  }
  merge(stream->frontier, event->frontier);
  return ok;
}

Work graph_work(const std::shared_ptr<Graph> &graph) {
  struct Progress {
    std::vector<bool> done;
    size_t left;
  };
  auto progress = std::make_shared<Progress>();
  progress->done.resize(graph->nodes.size());
  progress->left = graph->nodes.size();
  Work work;
  work.name = "a graph";
  for (const Node &node : graph->nodes) work.uses.insert(work.uses.end(), node.work.uses.begin(), node.work.uses.end());
  work.step = [graph, progress](Context &context, Code &code) {
    bool moved = false;
    for (size_t i = 0; i < graph->nodes.size() && code == ok; i++) {
      const Node &node = graph->nodes[i];
      auto done = [&](size_t need) { return progress->done[need]; };
      if (progress->done[i] || !std::all_of(node.needs.begin(), node.needs.end(), done)) continue;
      Step step = node.work.step(context, code);
      moved |= step != Step::wait;
      if (step == Step::done) progress->done[i] = true, progress->left--;
    }
    return progress->left == 0 ? Step::done : moved ? Step::again : Step::wait;
  };
  return work;
}

}  // namespace pirn::fake_gpu
