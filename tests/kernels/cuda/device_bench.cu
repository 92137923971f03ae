// device_bench probe | invariance | micro [--small]: what tools/gpu_check.sh asks of a device beside the
// tests.
//
// probe       the device and its ceilings: memory traffic of `add`, and in registers fp32 fused multiply-adds
//             and multiply_adds of bf16 (mma.sync).
// invariance  products and experts of V2-Lite's shapes in fp32 and bf16: the bits of a row for every number
// of
//             rows, and 20 times over.
// micro       time of each heavy kernel at V2-Lite's shapes beside those ceilings; medians and spreads.
//
// One JSON object a line on standard output. Exit code 1 when a bit differs. --small is for the
// emulated device, whose times mean nothing.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/runtime.h"
#include "kernels/device.h"
#include "kernels/kernels.h"

namespace fathom::kernels {
namespace {

using Clock = std::chrono::steady_clock;

struct Bench {
  OwnedStream owned{Space::kCuda, nullptr};
  const Stream& stream = owned.stream();
  bool small = false;
  double bytes_per_s = 0.0;
  double flops_per_s = 0.0;       // of fp32
  double bf16_flops_per_s = 0.0;  // of tensor cores
};

constexpr Compute kComputes[] = {Compute::kF32, Compute::kBF16};

std::string name_of(Compute compute) {
  return compute == Compute::kF32 ? "" : " bf16";
}

/// Device memory with random numbers of about unit size divided by `divisor`.
Buffer random_buffer(const Bench& bench, Dtype dtype, int64_t n, float divisor, uint64_t seed) {
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

void wait(const Bench& bench, const Buffer& any) {
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

struct FmaKernel {
  static constexpr int kThreads = 256;
  static constexpr const char* kName = "fma peak";
  static constexpr int kChains = 8;
  struct Params {
    float* out;
    int64_t n_steps;
  };
  FATHOM_DEVICE static void run(const cuda::Simt& simt, const Params& p) {
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
  static constexpr int kThreads = 256;
  static constexpr const char* kName = "mma peak";
  static constexpr int kChains = 8;
  struct Params {
    float* out;
    int64_t n_steps;
  };
  FATHOM_DEVICE static uint32_t random_pair(uint64_t seed) {
    const uint64_t bits = cuda::mix(seed);
    const auto number = [](uint64_t b) { return static_cast<float>(b & 0xFFFF) * 0x1.0p-15f - 1.0f; };
    return cuda::to_bf16_pair(number(bits), number(bits >> 16));
  }
  FATHOM_DEVICE static void run(const cuda::Simt& simt, const Params& p) {
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

void probe(Bench& bench) {
  const int64_t n = bench.small ? 1 << 12 : int64_t{1} << 28;
  Buffer x(Space::kCuda, static_cast<size_t>(n) * 4), y(Space::kCuda, static_cast<size_t>(n) * 4);
  const Timing add_time = time_of(bench, x, [&] {
    add(bench.stream, {.x = x.tensor(Dtype::kF32, {1, n}), .delta = y.tensor(Dtype::kF32, {1, n})});
  });
  bench.bytes_per_s = 12.0 * static_cast<double>(n) / add_time.median_s;
  const int64_t n_blocks = bench.small ? 1 : 4096;
  const int64_t n_steps = bench.small ? 4 : 4096;
  Buffer out(Space::kCuda, static_cast<size_t>(n_blocks * FmaKernel::kThreads) * 4);
  const Timing fma_time = time_of(bench, out, [&] {
    cuda::launch<FmaKernel>(bench.stream, {.x = n_blocks}, 0,
                            {static_cast<float*>(out.scratch().data), n_steps});
  });
  bench.flops_per_s = 2.0 *
                      static_cast<double>(n_blocks * FmaKernel::kThreads * FmaKernel::kChains * n_steps) /
                      fma_time.median_s;
  const Timing mma_time = time_of(bench, out, [&] {
    cuda::launch<MmaKernel>(bench.stream, {.x = n_blocks}, 0,
                            {static_cast<float*>(out.scratch().data), n_steps});
  });
  bench.bf16_flops_per_s = 2.0 * 16 * 8 * 16 * 2 * MmaKernel::kChains *
                           static_cast<double>(n_blocks * (MmaKernel::kThreads / cuda::kWarp) * n_steps) /
                           mma_time.median_s;
  std::printf(
      "{\"phase\": \"probe\", \"device\": \"%s\", \"architecture\": \"%s\", \"memory_bytes\": %zu, "
      "\"bytes_per_s\": %.4g, \"bytes_spread\": %.3f, \"fp32_flops_per_s\": %.4g, \"flops_spread\": %.3f, "
      "\"bf16_flops_per_s\": %.4g, \"bf16_flops_spread\": %.3f}\n",
      cuda::device_name().c_str(), cuda::architecture().c_str(), cuda::memory_bytes(), bench.bytes_per_s,
      add_time.spread, bench.flops_per_s, fma_time.spread, bench.bf16_flops_per_s, mma_time.spread);
}

void report(const Bench& bench, const std::string& name, const Timing& time, double bytes, double flops,
            Compute compute = Compute::kF32) {
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
std::vector<Matrix> matrices(const Bench& bench) {
  if (bench.small) return {{72, 40}, {33, 20}};
  return {{2048, 3072}, {2048, 576}, {2048, 2048}, {2048, 10944}, {10944, 2048}, {2048, 102400}};
}

/// One layer's experts of V2-Lite, and tokens that choose among them.
struct ExpertLayer {
  ExpertLayer(const Bench& bench, int64_t max_rows)
      : n(bench.small ? 5 : 64),
        k(bench.small ? 3 : 6),
        h(bench.small ? 40 : 2048),
        m(bench.small ? 24 : 1408),
        weights(random_buffer(bench, Dtype::kBF16, 3 * n * m * h, 32.0f, 1)),
        x(random_buffer(bench, Dtype::kF32, max_rows * h, 1.0f, 2)),
        shares(random_buffer(bench, Dtype::kF32, max_rows * k, 1.0f, 3)),
        ids(Space::kCuda, static_cast<size_t>(max_rows * k) * 4),
        scratch(Space::kCuda,
                expert_mlps_scratch_bytes(bench.stream, {max_rows, n, k, h, m, Compute::kBF16})),
        out(Space::kCuda, static_cast<size_t>(max_rows * h) * 4) {
    std::vector<int32_t> chosen;
    for (int64_t t = 0; t < max_rows; ++t) {
      for (int64_t i = 0; i < k; ++i) chosen.push_back(static_cast<int32_t>((t * 7 + i * (t % 5 + 1)) % n));
      for (int64_t i = 1; i < k; ++i) {  // distinct within a row
        auto row = chosen.end() - k;
        while (std::find(row, row + i, row[i]) != row + i) row[i] = static_cast<int32_t>((row[i] + 1) % n);
      }
    }
    upload(bench.stream, std::as_bytes(std::span<const int32_t>(chosen)),
           ids.tensor(Dtype::kI32, {max_rows * k}));
    const Tensor all = weights.tensor(Dtype::kBF16, {3 * n, m, h});
    for (int64_t e = 0; e < n; ++e) {
      const auto part = [&](int64_t i) { return all.rows(3 * e + i, 3 * e + i + 1).data; };
      gate.push_back(Tensor(part(0), Dtype::kBF16, {m, h}, Space::kCuda));
      up.push_back(Tensor(part(1), Dtype::kBF16, {m, h}, Space::kCuda));
      down.push_back(Tensor(part(2), Dtype::kBF16, {h, m}, Space::kCuda));
    }
  }

  void run(const Bench& bench, int64_t t, Compute compute) const {
    expert_mlps(bench.stream, {.x = x.tensor(Dtype::kF32, {t, h}),
                               .experts = ids.tensor(Dtype::kI32, {t, k}),
                               .weights = shares.tensor(Dtype::kF32, {t, k}),
                               .gate = gate,
                               .up = up,
                               .down = down,
                               .out = out.tensor(Dtype::kF32, {t, h}),
                               .compute = compute,
                               .scratch = scratch.scratch()});
  }

  int64_t n, k, h, m;
  Buffer weights, x, shares, ids, scratch, out;
  std::vector<Tensor> gate, up, down;
};

std::vector<float> rows_of(const Bench& bench, const Buffer& out, int64_t rows, int64_t width) {
  std::vector<float> values(static_cast<size_t>(rows * width));
  download(bench.stream, out.tensor(Dtype::kF32, {rows, width}), std::as_writable_bytes(std::span(values)));
  return values;
}

constexpr int64_t kRowCounts[] = {1, 2, 7, 8, 9, 32, 33, 64, 65, 257};
constexpr int kRepeats = 20;

/// run(rows) fills [rows, width] of `out`. Prints a line; true when every prefix and every repeat has the
/// same bits.
template <typename Run>
bool rows_keep_their_bits(const Bench& bench, const std::string& name, const Buffer& out, int64_t width,
                          const Run& run) {
  constexpr int64_t kMost = 257;
  run(kMost);
  const std::vector<float> all = rows_of(bench, out, kMost, width);
  int64_t n_different = 0;
  const auto compare = [&](int64_t rows) {
    const std::vector<float> part = rows_of(bench, out, rows, width);
    n_different += std::memcmp(part.data(), all.data(), part.size() * 4) == 0 ? 0 : 1;
  };
  for (int64_t rows : kRowCounts) {
    run(rows);
    compare(rows);
  }
  for (int i = 0; i < (bench.small ? 1 : kRepeats); ++i) {
    run(kMost);
    compare(kMost);
  }
  std::printf("{\"phase\": \"invariance\", \"case\": \"%s\", \"different\": %lld}\n", name.c_str(),
              static_cast<long long>(n_different));
  std::fflush(stdout);
  return n_different == 0;
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

bool invariance(const Bench& bench) {
  bool same = true;
  for (const Matrix& s : matrices(bench)) {
    const LinearCase work(bench, s, 257);
    for (Compute compute : kComputes) {
      same &= rows_keep_their_bits(
          bench, "linear" + name_of(compute) + " " + std::to_string(s.k) + " x " + std::to_string(s.n),
          work.out, s.n, [&](int64_t rows) { work.run(bench, rows, compute); });
    }
  }
  const ExpertLayer layer(bench, 257);
  for (Compute compute : kComputes) {
    same &= rows_keep_their_bits(bench, "expert_mlps" + name_of(compute), layer.out, layer.h,
                                 [&](int64_t rows) { layer.run(bench, rows, compute); });
  }
  return same;
}

/// Rows of the cases; the first few are enough for fp32.
std::vector<int64_t> micro_rows(const Bench& bench, Compute compute) {
  if (bench.small) return {1, 9};
  if (compute == Compute::kF32) return {1, 8, 64, 256};
  return {1, 8, 64, 256, 2048, 8192};
}

void micro_linear(const Bench& bench) {
  for (const Matrix& s : matrices(bench)) {
    const LinearCase work(bench, s, micro_rows(bench, Compute::kBF16).back());
    for (Compute compute : kComputes) {
      for (int64_t rows : micro_rows(bench, compute)) {
        const Timing time = time_of(bench, work.out, [&] { work.run(bench, rows, compute); });
        report(bench,
               "linear" + name_of(compute) + " " + std::to_string(rows) + " x " + std::to_string(s.k) +
                   " x " + std::to_string(s.n),
               time, static_cast<double>(2 * s.n * s.k + 4 * rows * (s.k + s.n)),
               2.0 * static_cast<double>(rows * s.n * s.k), compute);
      }
    }
  }
}

void micro_experts(const Bench& bench) {
  const ExpertLayer layer(bench, micro_rows(bench, Compute::kBF16).back());
  for (Compute compute : kComputes) {
    for (int64_t rows : micro_rows(bench, compute)) {
      const Timing time = time_of(bench, layer.out, [&] { layer.run(bench, rows, compute); });
      const int64_t touched = std::min(layer.n, rows * layer.k);
      report(bench, "expert_mlps" + name_of(compute) + " " + std::to_string(rows), time,
             static_cast<double>(2 * 3 * touched * layer.m * layer.h),
             2.0 * 3 * static_cast<double>(rows * layer.k * layer.m * layer.h), compute);
    }
  }
}

/// `n_sequences` of `n_tokens` cached positions each, the last `n_new` of which are the rows.
void micro_attention(const Bench& bench, bool absorbed, int64_t n_sequences, int64_t n_tokens,
                     int64_t n_new) {
  const MlaShape s = bench.small ? MlaShape{4, 16, 8, 16, 32} : MlaShape{16, 128, 64, 128, 512};
  const int64_t places = (n_tokens + kBlockTokens - 1) / kBlockTokens;
  const int64_t rows = n_sequences * n_new;
  std::vector<int32_t> table, runs;
  for (int64_t i = 0; i < n_sequences; ++i) {
    for (int64_t b = 0; b < places; ++b) table.push_back(static_cast<int32_t>(i * places + b));
    for (int64_t v : {i * n_new, n_new, n_tokens - n_new, i}) runs.push_back(static_cast<int32_t>(v));
  }
  Buffer table_buffer(Space::kCuda, table.size() * 4), runs_buffer(Space::kCuda, runs.size() * 4);
  const Tensor table_tensor = table_buffer.tensor(Dtype::kI32, {n_sequences, places});
  const Tensor runs_tensor = runs_buffer.tensor(Dtype::kI32, {n_sequences, 4});
  upload(bench.stream, std::as_bytes(std::span<const int32_t>(table)), table_tensor);
  upload(bench.stream, std::as_bytes(std::span<const int32_t>(runs)), runs_tensor);
  const int64_t width = s.num_heads * (s.nope + s.v);
  const Buffer cache =
      random_buffer(bench, Dtype::kF32, n_sequences * places * kBlockTokens * s.latent(), 1.0f, 7);
  const Buffer kv_b = random_buffer(bench, Dtype::kBF16, width * s.rank, 16.0f, 8);
  const Buffer q = random_buffer(bench, Dtype::kF32, rows * s.num_heads * s.qk(), 1.0f, 9);
  const Buffer out(Space::kCuda, static_cast<size_t>(rows * s.num_heads * s.v) * 4);
  const Buffer scratch(Space::kCuda, absorbed
                                         ? mla_absorbed_scratch_bytes(bench.stream, s, rows)
                                         : mla_expanded_scratch_bytes(bench.stream, s, rows, n_sequences));
  const Mla args{.shape = s,
                 .q = q.tensor(Dtype::kF32, {rows, s.num_heads, s.qk()}),
                 .cache = cache.tensor(Dtype::kF32, {n_sequences * places, kBlockTokens, s.latent()}),
                 .block_table = table_tensor,
                 .runs = runs_tensor,
                 .kv_b = kv_b.tensor(Dtype::kBF16, {width, s.rank}),
                 .scale = 0.1f,
                 .out = out.tensor(Dtype::kF32, {rows, s.num_heads, s.v}),
                 .scratch = scratch.scratch()};
  const Timing time = time_of(
      bench, out, [&] { absorbed ? mla_absorbed(bench.stream, args) : mla_expanded(bench.stream, args); });
  const double pairs = static_cast<double>(rows) * static_cast<double>(n_tokens - n_new / 2);
  const double flops = absorbed ? 2.0 * pairs * static_cast<double>(s.num_heads * (s.latent() + s.rank))
                                : 2.0 * pairs * static_cast<double>(s.num_heads * (s.qk() + s.v)) +
                                      2.0 * static_cast<double>(n_sequences * n_tokens * width * s.rank);
  report(bench,
         std::string(absorbed ? "mla_absorbed " : "mla_expanded ") + std::to_string(n_sequences) +
             " sequences, " + std::to_string(n_new) + " of " + std::to_string(n_tokens) + " tokens",
         time, static_cast<double>(4 * n_sequences * n_tokens * s.latent()), flops);
}

void micro(Bench& bench) {
  micro_linear(bench);
  micro_experts(bench);
  if (bench.small) {
    micro_attention(bench, true, 2, 70, 1);
    micro_attention(bench, false, 1, 70, 10);
    return;
  }
  for (int64_t n : {1, 16, 64}) {
    for (int64_t tokens : {1024, 4096, 32768}) {
      if (n * tokens <= 64 * 4096) micro_attention(bench, true, n, tokens, 1);
    }
  }
  for (int64_t tokens : {2048, 8192}) micro_attention(bench, false, 1, tokens, 2048);
}

}  // namespace
}  // namespace fathom::kernels

int main(int argc, char** argv) {
  using namespace fathom::kernels;
  const std::string phase = argc > 1 ? argv[1] : "";
  if (phase != "probe" && phase != "invariance" && phase != "micro") {
    std::fprintf(stderr, "usage: device_bench probe | invariance | micro [--small]\n");
    return 2;
  }
  if (const std::optional<std::string> reason = why_unusable(Space::kCuda)) {
    std::printf("skipped: no CUDA device (%s)\n", reason->c_str());
    return 0;
  }
  Bench bench;
  bench.small = argc > 2 && std::string(argv[2]) == "--small";
  if (phase == "invariance") return invariance(bench) ? 0 : 1;
  probe(bench);
  if (phase == "micro") micro(bench);
  return 0;
}
