// That the emulated device would notice what it is there to notice.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/numbers.h"
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

struct MmaKernel {
  static constexpr int kThreads = kWarp;
  static constexpr const char* kName = "mma";
  struct Params {
    const Bf16* a;  // [16, 16]
    const Bf16* b;  // [16, 8]
    float* sums;    // [16, 8]
  };
  static uint32_t pair(Bf16 low, Bf16 high) { return low.bits | static_cast<uint32_t>(high.bits) << 16; }
  static void run(const Simt& simt, const Params& p) {
    const int g = simt.lane() / 4, t = simt.lane() % 4;
    uint32_t a[4], b[2];
    float sums[4];
    for (int i = 0; i < 4; ++i) {
      const Bf16* from = p.a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
      a[i] = pair(from[0], from[1]);
    }
    for (int i = 0; i < 2; ++i) {
      const Bf16* from = p.b + (2 * t + 8 * i) * 8 + g;
      b[i] = pair(from[0], from[8]);
    }
    for (int i = 0; i < 4; ++i) sums[i] = p.sums[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
    simt.multiply_add(sums, a, b);
    for (int i = 0; i < 4; ++i) p.sums[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
  }
};

TEST(Emulation, MultiplyAddIsTheProductOfTwoMatricesAddedToAThird) {
  std::vector<Bf16> a(16 * 16), b(16 * 8);
  std::vector<float> sums(16 * 8), expected;
  for (size_t i = 0; i < a.size(); ++i) a[i] = {to_bf16(static_cast<float>(i % 23) - 11)};
  for (size_t i = 0; i < b.size(); ++i) b[i] = {to_bf16(static_cast<float>(i % 19) - 9)};
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] = static_cast<float>(i);
    float sum = sums[i];
    for (size_t k = 0; k < 16; ++k) sum += widen(a[i / 8 * 16 + k]) * widen(b[k * 8 + i % 8]);
    expected.push_back(sum);
  }
  for (const Order order : {Order::kAscending, Order::kDescending}) {
    emulation::set_order(order);
    std::vector<float> found = sums;
    launch<MmaKernel>({}, {}, 0, {a.data(), b.data(), found.data()});
    EXPECT_EQ(found, expected);
  }
}

/// Two groups of copies, of which it waits for all but n_open.
template <int n_open>
struct CopyKernel {
  static constexpr int kThreads = kWarp;
  static constexpr const char* kName = "copy";
  struct Params {
    const Words* from;
    Words* to;  // [3]
  };
  static void run(const Simt& simt, const Params& p) {
    if (simt.thread() != 0) return;
    auto* shared = simt.shared<Words>();
    simt.copy_async(shared, p.from, false);
    simt.copy_async(shared + 1, p.from, true);
    simt.close_copies();
    simt.copy_async(shared + 2, p.from, false);
    simt.close_copies();
    simt.template wait_copies<n_open>();
    for (int i = 0; i < 3; ++i) p.to[i] = shared[i];
  }
};

TEST(Emulation, CopiesHappenNoSoonerThanTheyAreWaitedFor) {
  constexpr uint32_t kUntouched = 0xFFFFFFFF;
  const Words from{{7, 8, 9, 10}};
  const auto run = [&](auto kernel) {
    std::vector<Words> to(3);
    launch<decltype(kernel)>({}, {}, sizeof(Words) * 3, {&from, to.data()});
    return std::vector<uint32_t>{to[0].w[3], to[1].w[0], to[2].w[1]};
  };
  EXPECT_EQ(run(CopyKernel<2>()), (std::vector<uint32_t>{kUntouched, kUntouched, kUntouched}));
  EXPECT_EQ(run(CopyKernel<1>()), (std::vector<uint32_t>{10, 0, kUntouched}));
  EXPECT_EQ(run(CopyKernel<0>()), (std::vector<uint32_t>{10, 0, 8}));
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
