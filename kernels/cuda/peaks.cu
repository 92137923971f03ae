#include "kernels/cuda/peaks.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "kernels/buffer.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"

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
