// WorkFeed: the samples of a run as engine requests, built ahead on a thread of its own.
//
// Rendering and tokenising overlap with computing; the queue is bounded, so that a long run holds a few
// hundred prompts in memory and not all of them. Items come in plan order: task by task, document by
// document, repeat by repeat.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "harness/request_builder.h"
#include "tasks/task.h"

namespace fathom::harness {

/// A task whose documents are open; the first `n_planned` samples are asked, each `n_reps` times.
struct OpenTask {
  const tasks::Task* task = nullptr;
  tasks::Documents documents;
  int64_t n_planned = 0;
  int64_t n_reps = 1;
  int64_t num_fewshot = 0;  ///< as used
};

struct WorkItem {
  size_t task = 0;  ///< index into the open tasks
  size_t doc = 0;   ///< index into Documents::samples
  int64_t rep = 0;
  tasks::Prompt prompt;
  BuiltRequest request;
};

class WorkFeed {
 public:
  /// `is_done(task, doc, rep)` says which items the store has already; they are not built. `tasks` must
  /// outlive the feed.
  using IsDone = std::function<bool(size_t task, size_t doc, int64_t rep)>;
  WorkFeed(std::span<const OpenTask> tasks, RequestBuilder builder, IsDone is_done);
  /// Stops the thread; items that were not taken are dropped.
  ~WorkFeed();

  /// The next item, or nothing after the last one. Rethrows what rendering threw.
  std::optional<WorkItem> next();

 private:
  void produce();
  bool push(WorkItem item);

  std::span<const OpenTask> tasks_;
  RequestBuilder builder_;
  IsDone is_done_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<WorkItem> queue_;
  std::exception_ptr failure_;
  bool finished_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fathom::harness
