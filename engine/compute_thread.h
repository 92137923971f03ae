// ComputeThread: steps a scheduler on a thread of its own, so that rendering, tokenising, scoring and storing
// overlap with computing.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/scheduler.h"

namespace fathom::engine {

class ComputeThread {
 public:
  /// Borrows the scheduler, which only this thread steps from now on.
  explicit ComputeThread(Scheduler& scheduler);
  /// Ends after the step under way; what is not finished is dropped.
  ~ComputeThread();
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  void submit(Request request);
  /// The next finished request; waits while any is pending, nothing when none is. Throws what a step threw,
  /// once; the requests of that step are lost.
  std::optional<Completion> next();

  SchedulerCounters counters() const;

  /// Keeps the thread from computing as long as it lives; waits for the step under way.
  std::unique_lock<std::mutex> pause() { return std::unique_lock(compute_mutex_); }

 private:
  void run();
  /// Waits for something to do; false at the end.
  bool take_requests();
  void step();

  Scheduler& scheduler_;
  std::mutex compute_mutex_;  // held during a step

  mutable std::mutex mutex_;  // over everything below
  std::condition_variable to_compute_, to_collect_;
  std::deque<Request> requests_;
  std::deque<Completion> completions_;
  std::exception_ptr failure_;
  SchedulerCounters counters_;
  int64_t n_pending_ = 0;  // submitted and not collected
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace fathom::engine
