// A fixed set of worker threads for data-parallel loops.
//
// parallel_for hands out task indices; which thread runs which index is unspecified, so a loop body may write
// only what belongs to its own index. Nothing here sums across threads: that is what keeps results
// independent of the thread count.
//
// A thread that waits for the next loop, or for the end of this one, spins for some microseconds before it
// sleeps: a forward pass is hundreds of short loops, one right after the other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace fathom {

class ThreadPool {
 public:
  /// `n_threads` >= 1 threads work on every loop, the calling one included.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Inside a body: the number of the thread that runs it, in [0, n_threads()). For room of its own to work
  /// in, never for anything a result depends on.
  static int current_thread();

  /// Runs body(i) for every i in [0, n_tasks) and returns when all are done. The first exception of a body is
  /// rethrown here. Only one parallel_for at a time, and none inside a body. Allocates nothing.
  template <typename Body>
  void parallel_for(int64_t n_tasks, const Body& body) {
    run(n_tasks, {[](const void* object, int64_t i) { (*static_cast<const Body*>(object))(i); }, &body});
  }

 private:
  /// A borrowed callable: std::function would allocate for bodies that capture more than two words.
  struct BodyRef {
    void (*call)(const void* object, int64_t i) = nullptr;
    const void* object = nullptr;
    void operator()(int64_t i) const { call(object, i); }
  };

  void run(int64_t n_tasks, BodyRef body);
  void work(int thread);
  void run_tasks();

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  std::atomic<uint64_t> generation_{0};  // counts the loops; written with the mutex held
  std::atomic<int> busy_{0};             // workers that are not done with this loop
  std::atomic<bool> stopping_{false};

  BodyRef body_;
  int64_t n_tasks_ = 0;
  std::atomic<int64_t> next_{0};
  std::exception_ptr failure_;
};

/// Number of processors this process may use (its affinity mask), at least 1.
int usable_processors();

}  // namespace fathom
