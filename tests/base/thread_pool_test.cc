#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace fathom {
namespace {

TEST(ThreadPool, RunsEveryIndexExactlyOnceForAnyThreadCount) {
  for (int n_threads : {1, 2, 5}) {
    ThreadPool pool(n_threads);
    EXPECT_EQ(pool.n_threads(), n_threads);
    for (int64_t n_tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(n_tasks));
      pool.parallel_for(n_tasks, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
      for (const auto& n : runs) EXPECT_EQ(n.load(), 1);
    }
  }
}

TEST(ThreadPool, AnExceptionReachesTheCallerAndThePoolGoesOn) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.parallel_for(100,
                                 [](int64_t i) {
                                   if (i == 41) throw std::runtime_error("41");
                                 }),
               std::runtime_error);
  std::atomic<int64_t> sum{0};
  pool.parallel_for(100, [&](int64_t i) { sum += i; });
  EXPECT_EQ(sum.load(), 4950);
}

TEST(ThreadPool, ManyShortLoopsInARowAllFinish) {
  ThreadPool pool(4);
  std::atomic<int64_t> n{0};
  for (int loop = 0; loop < 2000; ++loop) pool.parallel_for(4, [&](int64_t) { ++n; });
  EXPECT_EQ(n.load(), 8000);
}

TEST(ThreadPool, NoTwoThreadsOfALoopHaveTheSameNumber) {
  ThreadPool outer(3);
  std::vector<std::atomic<int>> holders(3);
  outer.parallel_for(300, [&](int64_t) {
    const auto thread = static_cast<size_t>(ThreadPool::current_thread());
    ASSERT_LT(thread, holders.size());
    EXPECT_EQ(++holders[thread], 1);
    ThreadPool inner(1);
    inner.parallel_for(1, [&](int64_t) { EXPECT_EQ(ThreadPool::current_thread(), 0); });
    EXPECT_EQ(ThreadPool::current_thread(), static_cast<int>(thread));
    --holders[thread];
  });
}

TEST(ThreadPool, AtLeastOneProcessorIsUsable) {
  EXPECT_GE(usable_processors(), 1);
}

}  // namespace
}  // namespace fathom
