// device_bench probe | invariance | micro | library [--small]: what tools/gpu_check.sh asks of a device
// beside the tests.
//
// probe       the device and its ceilings: reading memory, fp32 fused multiply-adds and multiply_adds of bf16
//             (mma.sync) in registers, a large bf16 product of cuBLASLt where that is there.
// invariance  products and experts of V2-Lite's shapes in fp32 and bf16: the bits of a row for many
//             numbers of rows, and 20 times over.
// micro       time of each heavy kernel at V2-Lite's shapes beside those ceilings; medians and spreads.
// library     which of V2-Lite's matrices cuBLASLt may compute (--verify-kernels), and its times.
//
// One JSON object a line on standard output. Exit code 1 when a bit differs. --small is for the
// emulated device, whose times mean nothing.
#include "tests/kernels/cuda/device_bench.h"

#include <cmath>

#include "kernels/cuda/peaks.h"
#include "kernels/cuda/runtime.h"

namespace fathom::kernels {
namespace {

/// Sets the ceilings.
void probe(Bench& bench) {
  const int64_t n = bench.small ? 1 << 12 : int64_t{1} << 28;
  Buffer x(Space::kCuda, static_cast<size_t>(n) * 4), y(Space::kCuda, static_cast<size_t>(n) * 4);
  const Timing add_time = time_of(bench, x, [&] {
    add(bench.stream, {.x = x.tensor(Dtype::kF32, {1, n}), .delta = y.tensor(Dtype::kF32, {1, n})});
  });
  const DevicePeaks peaks = cuda::measure_peaks(bench.stream, bench.small ? 1e-3 : 1.0);
  bench.flops_per_s = peaks.fma_flops;
  bench.bf16_flops_per_s = std::max(peaks.bf16_flops, library_flops(bench));
  bench.bytes_per_s = peaks.read_bandwidth;
  std::printf(
      "{\"phase\": \"probe\", \"device\": \"%s\", \"architecture\": \"%s\", \"memory_bytes\": %zu, "
      "\"read_bytes_per_s\": %.4g, \"add_bytes_per_s\": %.4g, \"add_spread\": %.3f, "
      "\"fp32_flops_per_s\": %.4g, \"mma_sync_bf16_flops_per_s\": %.4g, \"bf16_flops_per_s\": %.4g}\n",
      cuda::device_name().c_str(), cuda::architecture().c_str(), cuda::memory_bytes(), bench.bytes_per_s,
      12.0 * static_cast<double>(n) / add_time.median_s, add_time.spread, bench.flops_per_s, peaks.bf16_flops,
      bench.bf16_flops_per_s);
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
  if (phase != "probe" && phase != "invariance" && phase != "micro" && phase != "library") {
    std::fprintf(stderr, "usage: device_bench probe | invariance | micro | library [--small]\n");
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
  if (phase == "library") library(bench);
  return 0;
}
