#include "engine/compute_thread.h"

#include <utility>

namespace fathom::engine {

ComputeThread::ComputeThread(Scheduler& scheduler)
    : scheduler_(scheduler), counters_(scheduler.counters()), thread_([this] { run(); }) {}

ComputeThread::~ComputeThread() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  to_compute_.notify_one();
  thread_.join();
}

void ComputeThread::submit(Request request) {
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    ++n_pending_;
  }
  to_compute_.notify_one();
}

std::optional<Completion> ComputeThread::next() {
  std::unique_lock lock(mutex_);
  to_collect_.wait(lock, [this] { return !completions_.empty() || failure_ || n_pending_ == 0; });
  if (completions_.empty()) {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return std::nullopt;
  }
  Completion completion = std::move(completions_.front());
  completions_.pop_front();
  --n_pending_;
  return completion;
}

SchedulerCounters ComputeThread::counters() const {
  std::lock_guard lock(mutex_);
  SchedulerCounters counters = counters_;
  counters.n_waiting += static_cast<int64_t>(requests_.size());
  return counters;
}

void ComputeThread::run() {
  while (take_requests()) step();
}

bool ComputeThread::take_requests() {
  std::unique_lock lock(mutex_);
  to_compute_.wait(lock, [this] { return stopping_ || !requests_.empty() || !scheduler_.idle(); });
  for (Request& request : std::exchange(requests_, {})) scheduler_.submit(std::move(request));
  return !stopping_;
}

void ComputeThread::step() {
  std::exception_ptr failure;
  {
    std::lock_guard computing(compute_mutex_);
    try {
      scheduler_.step();
    } catch (...) {
      failure = std::current_exception();
      scheduler_.drop_all();
    }
  }
  std::lock_guard lock(mutex_);
  while (std::optional<Completion> completion = scheduler_.take_finished()) {
    completions_.push_back(std::move(*completion));
  }
  counters_ = scheduler_.counters();
  if (failure) {
    failure_ = std::move(failure);  // one owner at a time
    n_pending_ = static_cast<int64_t>(completions_.size() + requests_.size());
  }
  to_collect_.notify_all();
}

}  // namespace fathom::engine
