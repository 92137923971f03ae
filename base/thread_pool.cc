#include "base/thread_pool.h"

#include <sched.h>

#include <exception>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

thread_local int current = 0;

/// Asks for up to some tens of microseconds; false when it gave up.
template <typename Condition>
bool spin_until(const Condition& condition) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries; ++i) {
    if (condition()) return true;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  return condition();
}

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
  const auto all_done = [this] { return busy_ == 0; };
  if (!spin_until(all_done)) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, all_done);
  }
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::work(int thread) {
  current = thread;
  uint64_t seen = 0;
  while (true) {
    const auto called = [&] { return stopping_ || generation_ != seen; };
    if (!spin_until(called)) {
      std::unique_lock lock(mutex_);
      start_.wait(lock, called);
    }
    if (stopping_) return;
    seen = generation_;
    run_tasks();
    if (--busy_ > 0) continue;
    std::lock_guard lock(mutex_);  // the caller is waiting, or will see that nobody is busy
    done_.notify_one();
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
