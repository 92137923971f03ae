#include "base/thread_pool.h"

#include <sched.h>

#include <exception>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

thread_local int current = 0;

}  // namespace

int ThreadPool::current_thread() {
  return current;
}

ThreadPool::ThreadPool(int n_threads) {
  FATHOM_CHECK(n_threads >= 1, "n_threads {}", n_threads);
  for (int i = 1; i < n_threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int64_t n_tasks, BodyRef body) {
  // The caller may be another pool's worker; here it is thread 0.
  struct AsFirst {
    int outside = std::exchange(current, 0);
    ~AsFirst() { current = outside; }
  } as_first;
  if (workers_.empty() || n_tasks <= 1) {
    for (int64_t i = 0; i < n_tasks; ++i) body(i);
    return;
  }
  {
    std::lock_guard lock(mutex_);
    FATHOM_CHECK(busy_ == 0, "parallel_for inside parallel_for");
    body_ = body;
    n_tasks_ = n_tasks;
    next_.store(0, std::memory_order_relaxed);
    failure_ = nullptr;
    busy_ = static_cast<int>(workers_.size());
    ++generation_;
  }
  start_.notify_all();
  run_tasks();
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::work(int thread) {
  current = thread;
  uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return stopping_ || generation_ != seen; });
      if (stopping_) return;
      seen = generation_;
    }
    run_tasks();
    std::lock_guard lock(mutex_);
    if (--busy_ == 0) done_.notify_one();
  }
}

void ThreadPool::run_tasks() {
  try {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < n_tasks_;) body_(i);
  } catch (...) {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    next_.store(n_tasks_, std::memory_order_relaxed);
  }
}

int usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace fathom
