// That the emulated device would notice what it is there to notice.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.h"

namespace fathom::kernels::cuda {
namespace {

using emulation::Order;

/// Each thread passes its number to the next through shared memory.
template <bool with_barrier>
struct PassKernel {
  static constexpr int kThreads = 64;
  static constexpr const char* kName = "pass";
  struct Params {
    int* out;
  };
  static void run(const Simt& simt, const Params& p) {
    int* const shared = simt.shared<int>();
    shared[simt.thread()] = simt.thread();
    if (with_barrier) simt.barrier();
    p.out[simt.thread()] = shared[(simt.thread() + 1) % kThreads];
  }
};

template <bool with_barrier>
std::vector<int> pass(Order order) {
  std::vector<int> out(64);
  emulation::set_order(order);
  launch<PassKernel<with_barrier>>({}, {}, 64 * sizeof(int), {out.data()});
  return out;
}

TEST(Emulation, ABarrierMakesTheOrderOfThreadsIrrelevantAndItsLackShows) {
  const std::vector<int> expected = pass<true>(Order::kAscending);
  EXPECT_EQ(expected[0], 1);
  EXPECT_EQ(expected[63], 0);
  EXPECT_EQ(pass<true>(Order::kDescending), expected);
  EXPECT_EQ(pass<true>(Order::kShuffled), expected);
  EXPECT_NE(pass<false>(Order::kAscending), expected);
  EXPECT_NE(pass<false>(Order::kDescending), pass<false>(Order::kAscending));
}

struct ReduceKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "reduce";
  struct Params {
    float* sums;
    Candidate* best;
  };
  static void run(const Simt& simt, const Params& p) {
    const auto value = static_cast<float>(simt.thread() % 100);
    p.sums[simt.thread()] = block_reduce(simt, value, Sum(), simt.shared<float>());
    const Candidate mine{value, simt.thread()};
    p.best[simt.thread()] = block_reduce(simt, mine, Better(), simt.shared<Candidate>());
  }
};

TEST(Emulation, ReductionsGiveEveryThreadTheSameAndTiesToTheLowestIndex) {
  for (const Order order : {Order::kAscending, Order::kDescending, Order::kShuffled}) {
    emulation::set_order(order);
    std::vector<float> sums(kRowThreads);
    std::vector<Candidate> best(kRowThreads);
    launch<ReduceKernel>({}, {}, kRowWarps * sizeof(Candidate), {sums.data(), best.data()});
    for (int i = 0; i < kRowThreads; ++i) {
      EXPECT_EQ(sums[static_cast<size_t>(i)], 2 * 4950.0f + 55 * 56 / 2);
      EXPECT_EQ(best[static_cast<size_t>(i)].index, 99);
    }
  }
}

struct StrayKernel {
  static constexpr int kThreads = 32;
  static constexpr const char* kName = "stray";
  struct Params {
    int mistake;
  };
  static void run(const Simt& simt, const Params& p) {
    if (p.mistake == 0 && simt.thread() == 3) simt.shared<char>()[64] = 0;  // behind the end
    if (p.mistake == 1 && simt.thread() == 3) return;                       // and the others wait
    if (p.mistake == 2 && simt.thread() == 3) simt.fail();
    simt.barrier();
  }
};

TEST(EmulationDeathTest, StrayWritesLostThreadsAndTrapsAreFatal) {
  EXPECT_DEATH(launch<StrayKernel>({}, {}, 64, {0}), "wrote outside the 64 bytes of shared memory");
  EXPECT_DEATH(launch<StrayKernel>({}, {}, 64, {1}),
               "1 of 32 threads ended while the others wait at a barrier");
  EXPECT_DEATH(launch<StrayKernel>({}, {}, 64, {2}), "an index that must not occur");
  EXPECT_DEATH(launch<StrayKernel>({}, {}, kMaxSharedBytes + 1, {3}), "stray: 1 x 1 x 1 blocks");
}

}  // namespace
}  // namespace fathom::kernels::cuda
