#include "kernels/cuda/peaks.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "kernels/buffer.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numbers.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int kPeakThreads = 256;
constexpr int kRuns = 7;
constexpr int kLaunches = 10;  // a run
constexpr int64_t kBlocks = 4096;

/// Independent fused multiply-adds in registers.
struct FmaKernel {
  static constexpr int kThreads = kPeakThreads;
  static constexpr const char* kName = "peak (fma)";
  static constexpr int kChains = 8;
  struct Params {
    float* out;
    int64_t n_steps;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    float sums[kChains];
    FATHOM_UNROLL
    for (int c = 0; c < kChains; ++c) sums[c] = static_cast<float>(simt.thread() + c);
    for (int64_t i = 0; i < p.n_steps; ++i) {
      FATHOM_UNROLL
      for (int c = 0; c < kChains; ++c) sums[c] = fmaf(sums[c], 0.5f, 0.5f);
    }
    float sum = 0.0f;
    for (float s : sums) sum += s;
    p.out[simt.block_x() * kThreads + simt.thread()] = sum;
  }
};

/// Tensor cores on numbers of [-1, 1) that stay in registers: zeros would let a card run faster than it can.
struct MmaKernel {
  static constexpr int kThreads = kPeakThreads;
  static constexpr const char* kName = "peak (mma)";
  static constexpr int kChains = 8;
  struct Params {
    float* out;
    int64_t n_steps;
  };
  FATHOM_DEVICE static uint32_t random_pair(uint64_t seed) {
    const uint64_t bits = mix(seed);
    const auto number = [](uint64_t b) { return static_cast<float>(b & 0xFFFF) * 0x1.0p-15f - 1.0f; };
    return to_bf16_pair(number(bits), number(bits >> 16));
  }
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const auto seed = static_cast<uint64_t>(simt.block_x() * kThreads + simt.thread()) * 64;
    float sums[kChains][4] = {};
    uint32_t a[2][4], b[kChains][2];
    FATHOM_UNROLL
    for (int i = 0; i < 8; ++i) a[i / 4][i % 4] = random_pair(seed + i);
    FATHOM_UNROLL
    for (int i = 0; i < 2 * kChains; ++i) b[i / 2][i % 2] = random_pair(seed + 8 + i);
    for (int64_t i = 0; i < p.n_steps; ++i) {
      FATHOM_UNROLL
      for (int step = 0; step < 2; ++step) {
        FATHOM_UNROLL
        for (int c = 0; c < kChains; ++c) simt.multiply_add(sums[c], a[step], b[c]);
      }
    }
    float sum = 0.0f;
    for (const auto& chain : sums) {
      for (float s : chain) sum += s;
    }
    p.out[simt.block_x() * kThreads + simt.thread()] = sum;
  }
};

/// Reads every element once, 16 bytes at a time.
struct ReadKernel {
  static constexpr int kThreads = kPeakThreads;
  static constexpr const char* kName = "peak (read)";
  static constexpr int kUnroll = 8;
  struct alignas(16) Four {
    float values[4];
  };
  struct Params {
    const Four* from;
    int64_t n;  // a multiple of blocks x kThreads x kUnroll
    float* out;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t n_threads = simt.n_blocks_x() * kThreads;
    const int64_t me = simt.block_x() * kThreads + simt.thread();
    float sum = 0.0f;
    for (int64_t i = me; i < p.n; i += n_threads * kUnroll) {
      Four loaded[kUnroll];
      FATHOM_UNROLL
      for (int u = 0; u < kUnroll; ++u) loaded[u] = p.from[i + u * n_threads];
      FATHOM_UNROLL
      for (int u = 0; u < kUnroll; ++u)
        sum += loaded[u].values[0] + loaded[u].values[1] + loaded[u].values[2] + loaded[u].values[3];
    }
    p.out[me] = sum;
  }
};

void wait(const Stream& stream, const Buffer& any) {
  float value;
  download(stream, any.tensor(Dtype::kF32, {1}), std::as_writable_bytes(std::span(&value, 1)));
}

/// The shortest of kRuns times kLaunches calls of body, a call.
template <typename Body>
double seconds_of(const Stream& stream, const Buffer& any, const Body& body) {
  double best = INFINITY;
  for (int run = -1; run < kRuns; ++run) {  // the first is not measured
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kLaunches; ++i) body();
    wait(stream, any);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (run >= 0) best = std::min(best, taken.count() / kLaunches);
  }
  return best;
}

int64_t scaled(double effort, int64_t n) {
  return std::max<int64_t>(1, static_cast<int64_t>(effort * static_cast<double>(n)));
}

}  // namespace

DevicePeaks measure_peaks(const Stream& stream, double effort) {
  DevicePeaks peaks;
  const int64_t n_blocks = scaled(effort, kBlocks);
  const Buffer out(Space::kCuda, static_cast<size_t>(n_blocks * kPeakThreads) * sizeof(float));
  auto* const sums = static_cast<float*>(out.scratch().data);
  const int64_t n_steps = scaled(effort, 4096);
  const double fma_s =
      seconds_of(stream, out, [&] { launch<FmaKernel>(stream, {.x = n_blocks}, 0, {sums, n_steps}); });
  peaks.fma_flops = 2.0 * static_cast<double>(n_blocks * kPeakThreads * FmaKernel::kChains * n_steps) / fma_s;
  const double mma_s =
      seconds_of(stream, out, [&] { launch<MmaKernel>(stream, {.x = n_blocks}, 0, {sums, n_steps}); });
  // A multiply_add is 16 x 8 x 16 of a warp; two a step.
  peaks.bf16_flops = 2.0 * 16 * 8 * 16 * 2 * MmaKernel::kChains *
                     static_cast<double>(n_blocks * (kPeakThreads / kWarp) * n_steps) / mma_s;
  // 1 GiB: many times what any cache holds.
  const int64_t n = n_blocks * kPeakThreads * ReadKernel::kUnroll * scaled(effort, 8);
  const Buffer memory(Space::kCuda, static_cast<size_t>(n) * sizeof(ReadKernel::Four));
  const double read_s = seconds_of(stream, out, [&] {
    launch<ReadKernel>(stream, {.x = n_blocks}, 0,
                       {static_cast<const ReadKernel::Four*>(memory.scratch().data), n, sums});
  });
  peaks.read_bandwidth = static_cast<double>(n * sizeof(ReadKernel::Four)) / read_s;
  return peaks;
}

}  // namespace fathom::kernels::cuda
