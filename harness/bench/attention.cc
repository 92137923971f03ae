// `fathom bench attention`: both forms of latent attention without the rest of a layer.
#include <fmt/format.h>

#include <chrono>
#include <random>
#include <vector>

#include "base/div_up.h"
#include "harness/bench/workloads.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"

namespace fathom::harness {
namespace {

using kernels::Dtype;
using kernels::kBlockTokens;
using kernels::Space;
using kernels::Tensor;

constexpr kernels::MlaShape kShape{.num_heads = 16, .nope = 128, .rope = 64, .v = 128, .rank = 512};
constexpr int64_t kSequences = 32;

/// Tensors of one call, in memory of their own.
struct Operands {
  /// `n_rows` queries over `n_blocks` cache blocks.
  Operands(int64_t n_rows, int64_t n_blocks)
      : q(Space::kCpu, sizeof(float) * static_cast<size_t>(n_rows * kShape.num_heads * kShape.qk())),
        cache(Space::kCpu, sizeof(float) * static_cast<size_t>(n_blocks * kBlockTokens * kShape.latent())),
        kv_b(Space::kCpu, 2 * static_cast<size_t>(kv_b_rows() * kShape.rank)),
        out(Space::kCpu, sizeof(float) * static_cast<size_t>(n_rows * kShape.num_heads * kShape.v)) {
    std::mt19937 random(5);
    const auto fill = [&](const Tensor& t) {
      std::uniform_real_distribution<float> uniform(-1, 1);
      for (int64_t i = 0; i < t.elements(); ++i) static_cast<float*>(t.data)[i] = uniform(random);
    };
    args.shape = kShape;
    args.q = q.tensor(Dtype::kF32, {n_rows, kShape.num_heads, kShape.qk()});
    args.cache = cache.tensor(Dtype::kF32, {n_blocks, kBlockTokens, kShape.latent()});
    args.kv_b = kv_b.tensor(Dtype::kBF16, {kv_b_rows(), kShape.rank});
    args.out = out.tensor(Dtype::kF32, {n_rows, kShape.num_heads, kShape.v});
    args.scale = 0.05f;
    fill(args.q);
    fill(args.cache);
    auto* weights = static_cast<uint16_t*>(args.kv_b.data);
    for (int64_t i = 0; i < args.kv_b.elements(); ++i)
      weights[i] = static_cast<uint16_t>((random() & 0x8000u) | 0x3D00u);  // +-1/32 in bf16
  }

  static int64_t kv_b_rows() { return kShape.num_heads * (kShape.nope + kShape.v); }

  /// Runs as AttentionRun, and a table of `width` blocks for each sequence.
  void set_runs(std::vector<int32_t> runs_in, std::vector<int32_t> table_in, int64_t width) {
    runs = std::move(runs_in);
    table = std::move(table_in);
    args.runs = Tensor(runs.data(), Dtype::kI32, {static_cast<int64_t>(runs.size()) / 4, 4});
    args.block_table = Tensor(table.data(), Dtype::kI32, {static_cast<int64_t>(table.size()) / width, width});
  }

  kernels::Buffer q, cache, kv_b, out;
  std::vector<int32_t> runs, table;
  kernels::Mla args;
};

using Form = void (*)(const kernels::Stream&, const kernels::Mla&);

Figure timed(Figure figure, ThreadPool& pool, Operands& operands, size_t scratch_bytes, Form form,
             int repeats) {
  const kernels::Buffer scratch(Space::kCpu, scratch_bytes);
  operands.args.scratch = scratch.scratch();
  for (int i = -1; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    form({.pool = &pool}, operands.args);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (i >= 0) figure.seconds.push_back(taken.count());
  }
  return figure;
}

}  // namespace

Figure bench_attention_expanded(ThreadPool& pool, int64_t n_tokens, int repeats) {
  const int64_t n_blocks = div_up(n_tokens, kBlockTokens);
  Operands operands(n_tokens, n_blocks);
  std::vector<int32_t> table;
  for (int64_t b = 0; b < n_blocks; ++b) table.push_back(static_cast<int32_t>(b));
  operands.set_runs({0, static_cast<int32_t>(n_tokens), 0, 0}, table, n_blocks);
  const auto n = static_cast<double>(n_tokens);
  const double flop = static_cast<double>(kShape.num_heads * (kShape.qk() + kShape.v)) * n * n +
                      2 * static_cast<double>(Operands::kv_b_rows() * kShape.rank) * n;
  return timed({.name = fmt::format("attention/expanded/{}", n_tokens),
                .unit = "GFLOP/s",
                .items = flop / 1e9,
                .flop = flop},
               pool, operands, kernels::mla_expanded_scratch_bytes({.pool = &pool}, kShape, n_tokens, 1),
               kernels::mla_expanded, repeats);
}

Figure bench_attention_absorbed(ThreadPool& pool, int64_t n_tokens, int repeats) {
  const int64_t n_shared = div_up(n_tokens, kBlockTokens);
  Operands operands(kSequences, n_shared + kSequences);
  std::vector<int32_t> runs, table;
  for (int32_t i = 0; i < kSequences; ++i) {
    runs.insert(runs.end(), {i, 1, static_cast<int32_t>(n_shared * kBlockTokens), i});
    for (int64_t b = 0; b < n_shared; ++b) table.push_back(static_cast<int32_t>(b));
    table.push_back(static_cast<int32_t>(n_shared) + i);
  }
  operands.set_runs(runs, table, n_shared + 1);
  const double positions = static_cast<double>(n_shared * kBlockTokens + 1);
  const double flop =
      static_cast<double>(kSequences) *
      (2 * static_cast<double>(kShape.num_heads * (kShape.latent() + kShape.rank)) * positions +
       2 * static_cast<double>(Operands::kv_b_rows() * kShape.rank));
  return timed({.name = fmt::format("attention/absorbed/{}", n_tokens),
                .unit = "GFLOP/s",
                .items = flop / 1e9,
                .flop = flop},
               pool, operands, kernels::mla_absorbed_scratch_bytes({.pool = &pool}, kShape, kSequences),
               kernels::mla_absorbed, repeats);
}

}  // namespace fathom::harness
