#include "kernels/machine_peaks.h"

#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/machine_peaks.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/cpu/products.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

// Enough chains to hide the latency of two fused multiply-adds a cycle.
constexpr int kChains = 12;

/// n_steps * kChains * kLanes fused multiply-adds; the result only keeps the compiler from dropping them.
float FmaChains(int64_t n_steps, float factor) {
  const F32 d;
  VF32 sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = hn::Set(d, static_cast<float>(c));
  const VF32 x = hn::Set(d, factor);
  for (int64_t i = 0; i < n_steps; ++i) {
    for (int c = 0; c < kChains; ++c) sums[c] = hn::MulAdd(sums[c], x, x);
  }
  for (int c = 1; c < kChains; ++c) sums[0] = hn::Add(sums[0], sums[c]);
  return hn::GetLane(sums[0]);
}

int64_t FlopsOfStep() {
  return int64_t{2} * kChains * kLanes;
}

float ReadAll(const float* from, int64_t n) {
  const F32 d;
  VF32 sums[8];
  for (VF32& sum : sums) sum = hn::Zero(d);
  for (int64_t i = 0; i + 8 * kLanes <= n; i += 8 * kLanes) {
    for (int v = 0; v < 8; ++v) sums[v] = hn::Add(sums[v], load(from + i + v * kLanes));
  }
  for (int v = 1; v < 8; ++v) sums[0] = hn::Add(sums[0], sums[v]);
  return hn::GetLane(sums[0]);
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 5;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Seconds of body(i) on every thread at once.
template <typename Body>
double on_all_threads(ThreadPool& pool, const Body& body) {
  const auto start = Clock::now();
  pool.parallel_for(pool.n_threads(), body);
  return seconds_since(start);
}

}  // namespace

namespace cpu {
HWY_EXPORT(FmaChains);
HWY_EXPORT(FlopsOfStep);
HWY_EXPORT(ReadAll);
}  // namespace cpu

namespace {

/// Operations/s of run(n_steps, sink) -> multiply-adds done, on all threads.
template <typename Run>
std::optional<double> measure_dot_peak(ThreadPool& pool, const Run& run) {
  std::vector<float> sinks(static_cast<size_t>(pool.n_threads()));
  if (run(1, sinks[0]) == 0) return std::nullopt;
  const auto once = [&](int64_t n_steps) {
    return on_all_threads(pool, [&](int64_t i) { run(n_steps, sinks[static_cast<size_t>(i)]); });
  };
  int64_t n_steps = 1 << 16;
  while (once(n_steps) < 0.1) n_steps *= 2;
  double best = 1e30;
  for (int i = 0; i < kRuns; ++i) best = std::min(best, once(n_steps));
  return 2.0 * static_cast<double>(run(1, sinks[0]) * n_steps * pool.n_threads()) / best;
}

}  // namespace

std::optional<double> measure_bf16_peak(ThreadPool& pool) {
  return measure_dot_peak(pool, cpu::run_bf16_dot_chains);
}

std::optional<double> measure_int8_peak(ThreadPool& pool) {
  return measure_dot_peak(pool, cpu::run_int8_dot_chains);
}

double measure_fma_peak(ThreadPool& pool) {
  std::vector<float> sinks(static_cast<size_t>(pool.n_threads()));
  const auto run = [&](int64_t n_steps) {
    return on_all_threads(pool, [&](int64_t i) {
      sinks[static_cast<size_t>(i)] = HWY_DYNAMIC_DISPATCH(cpu::FmaChains)(n_steps, 0.5f);
    });
  };
  int64_t n_steps = 1 << 16;
  while (run(n_steps) < 0.1) n_steps *= 2;
  double best = 1e30;
  for (int i = 0; i < kRuns; ++i) best = std::min(best, run(n_steps));
  return static_cast<double>(n_steps * pool.n_threads()) *
         static_cast<double>(HWY_DYNAMIC_DISPATCH(cpu::FlopsOfStep)()) / best;
}

double measure_read_bandwidth(ThreadPool& pool) {
  const int64_t memory = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  const int64_t per_thread =
      std::min<int64_t>(int64_t{1} << 29, memory / 8) / pool.n_threads() / sizeof(float) / 1024 * 1024;
  const Buffer buffer(Space::kCpu, static_cast<size_t>(per_thread * pool.n_threads()) * sizeof(float));
  auto* const floats = static_cast<float*>(buffer.scratch().data);
  std::vector<float> sinks(static_cast<size_t>(pool.n_threads()));
  on_all_threads(pool, [&](int64_t i) { std::fill_n(floats + i * per_thread, per_thread, 1.0f); });
  double best = 1e30;
  for (int run = 0; run < kRuns; ++run) {
    best = std::min(best, on_all_threads(pool, [&](int64_t i) {
                      sinks[static_cast<size_t>(i)] =
                          HWY_DYNAMIC_DISPATCH(cpu::ReadAll)(floats + i * per_thread, per_thread);
                    }));
  }
  return static_cast<double>(per_thread * pool.n_threads()) * sizeof(float) / best;
}

double measure_sweep(ThreadPool& pool, std::span<const std::span<const std::byte>> parts) {
  constexpr size_t kPiece = size_t{1} << 18;
  std::vector<std::span<const std::byte>> pieces;
  for (std::span<const std::byte> part : parts) {
    for (; part.size() > kPiece; part = part.subspan(kPiece)) pieces.push_back(part.first(kPiece));
    pieces.push_back(part);
  }
  std::vector<float> sinks(pieces.size());
  const auto start = Clock::now();
  pool.parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
    const std::span<const std::byte> piece = pieces[static_cast<size_t>(i)];
    sinks[static_cast<size_t>(i)] = HWY_DYNAMIC_DISPATCH(cpu::ReadAll)(
        reinterpret_cast<const float*>(piece.data()), static_cast<int64_t>(piece.size() / sizeof(float)));
  });
  return seconds_since(start);
}

}  // namespace fathom::kernels
#endif  // HWY_ONCE
