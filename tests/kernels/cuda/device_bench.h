// What the phases of device_bench share: random operands in device memory, times, lines of results.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/device.h"
#include "kernels/kernels.h"

namespace fathom::kernels {

using Clock = std::chrono::steady_clock;

struct Bench {
  OwnedStream owned{Space::kCuda, nullptr};
  const Stream& stream = owned.stream();
  bool small = false;
  double bytes_per_s = 0.0;
  double flops_per_s = 0.0;       // of fp32
  double bf16_flops_per_s = 0.0;  // of tensor cores
};

inline constexpr Compute kComputes[] = {Compute::kF32, Compute::kBF16};

inline std::string name_of(Compute compute) {
  return compute == Compute::kF32 ? "" : " bf16";
}

/// Device memory with random numbers of about unit size divided by `divisor`.
inline Buffer random_buffer(const Bench& bench, Dtype dtype, int64_t n, float divisor, uint64_t seed) {
  const size_t width = dtype_bytes(dtype);
  std::vector<char> host(static_cast<size_t>(n) * width);
  uint64_t state = seed;
  for (int64_t i = 0; i < n; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const float value = (static_cast<float>(state >> 40) * 0x1.0p-23f - 1.0f) / divisor;
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (dtype == Dtype::kBF16) bits >>= 16;
    std::memcpy(host.data() + static_cast<size_t>(i) * width, &bits, width);
  }
  Buffer buffer(Space::kCuda, host.size());
  upload(bench.stream, std::as_bytes(std::span<const char>(host)), buffer.tensor(dtype, {n}));
  return buffer;
}

inline void wait(const Bench& bench, const Buffer& any) {
  float value;
  download(bench.stream, any.tensor(Dtype::kF32, {1}), std::as_writable_bytes(std::span(&value, 1)));
}

struct Timing {
  double median_s;
  double spread;  // (slowest - fastest) / median
};

/// Seconds of one body() by the host's clock around `n` of them, seven times after one unmeasured.
template <typename Body>
Timing time_of(const Bench& bench, const Buffer& any, const Body& body) {
  const int n = bench.small ? 1 : 20;
  std::vector<double> seconds;
  for (int run = 0; run < 8; ++run) {
    const auto start = Clock::now();
    for (int i = 0; i < n; ++i) body();
    wait(bench, any);
    if (run > 0) seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count() / n);
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[3], (seconds[6] - seconds[0]) / seconds[3]};
}

inline void report(const Bench& bench, const std::string& name, const Timing& time, double bytes,
                   double flops, Compute compute = Compute::kF32) {
  const double ceiling = compute == Compute::kBF16 ? bench.bf16_flops_per_s : bench.flops_per_s;
  const double floor_s = std::max(bytes / bench.bytes_per_s, flops / ceiling);
  std::printf(
      "{\"phase\": \"micro\", \"case\": \"%s\", \"median_s\": %.4g, \"spread\": %.3f, \"bytes_per_s\": %.4g, "
      "\"flops_per_s\": %.4g, \"of_ceiling\": %.3f}\n",
      name.c_str(), time.median_s, time.spread, bytes / time.median_s, flops / time.median_s,
      floor_s / time.median_s);
  std::fflush(stdout);
}

struct Matrix {
  int64_t k, n;
};

/// V2-Lite's: q and kv_a, o_proj, dense gate and down, lm_head.
inline std::vector<Matrix> matrices(const Bench& bench) {
  if (bench.small) return {{72, 40}, {33, 20}};
  return {{2048, 3072}, {2048, 576}, {2048, 2048}, {2048, 10944}, {10944, 2048}, {2048, 102400}};
}

/// One linear and the room it needs.
struct LinearCase {
  LinearCase(const Bench& bench, const Matrix& matrix, int64_t max_rows)
      : s(matrix),
        weight(random_buffer(bench, Dtype::kBF16, s.n * s.k, 32.0f, 5)),
        x(random_buffer(bench, Dtype::kF32, max_rows * s.k, 1.0f, 6)),
        out(Space::kCuda, static_cast<size_t>(max_rows * s.n) * 4),
        scratch(Space::kCuda, linear_scratch_bytes(bench.stream, Compute::kBF16, max_rows, s.k)) {}

  void run(const Bench& bench, int64_t rows, Compute compute) const {
    linear(bench.stream, {.x = x.tensor(Dtype::kF32, {rows, s.k}),
                          .weight = weight.tensor(Dtype::kBF16, {s.n, s.k}),
                          .out = out.tensor(Dtype::kF32, {rows, s.n}),
                          .compute = compute,
                          .scratch = scratch.scratch()});
  }

  Matrix s;
  Buffer weight, x, out, scratch;
};

/// FLOP/s of the vendor's library on bf16 matrices of 8,192 x 8,192; 0 where there is no library.
double library_flops(const Bench& bench);
/// Whether the library's products of V2-Lite's matrices keep the bits of a row, and their times beside ours.
void library(const Bench& bench);

}  // namespace fathom::kernels
