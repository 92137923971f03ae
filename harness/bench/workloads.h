// The workloads of `fathom bench`. Each makes its own input from a seed, so that no repeat finds another's
// prompts in the cache, and says what one repeat costs at least: FLOP or bytes.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"
#include "harness/bench/figure.h"
#include "harness/engine_loading.h"

namespace fathom::harness {

struct BenchModel {
  LoadedEngine* loaded = nullptr;
  kernels::Compute compute = kernels::Compute::kF32;
  kernels::LatentFormat kv = kernels::LatentFormat::kF32;
  kernels::Space space = kernels::Space::kCpu;
};

/// A prompt of `n_tokens` random ids, computed whole. FLOP: 2 for each weight that a token uses, without
/// embedding and head, and for attention in the expanded form 2 H (dn + dr + dv) n^2 / 2 a layer. With
/// --compute bf16 or int8 the FLOP of the matrices that it holds for are dot products.
Figure bench_prefill(const BenchModel& model, int64_t n_tokens, int repeats);

/// `n_sequences` generations side by side, 64 tokens each, from the first to the last. Several share a prompt
/// of 512 tokens but for the last one more. One has a prompt of 32 tokens, and after each repeat, on the CPU,
/// the weights that a token uses, head included, are read as often by a sweep that does nothing else; its
/// bytes are those and the latents it reads.
Figure bench_decode(const BenchModel& model, int64_t n_sequences, int repeats);

struct GenerateCase {
  int64_t prompt_tokens = 1000;
  int64_t new_tokens = 128;
};
/// `n_requests` submitted at once, each with a prompt of its own, until the last is done. Items are the new
/// tokens, seconds those of the whole, prompts included.
Figure bench_generate(const BenchModel& model, const GenerateCase& shape, int64_t n_requests, int repeats);

/// 32 questions of 64 tokens with four one-token options behind a common header of `n_header` tokens.
Figure bench_score(const BenchModel& model, int64_t n_header, int repeats);

/// Text through the tokenizer, MB/s on one thread.
Figure bench_tokenizer(const BenchModel& model, int64_t n_kilobytes, int repeats);

/// Attention alone, of a layer with DeepSeek-V2-Lite's heads. Expanded: a prompt of `n_tokens`. FLOP as
/// above, and the expansion of keys and values.
Figure bench_attention_expanded(ThreadPool& pool, int64_t n_tokens, int repeats);
/// Absorbed: 32 generated tokens, each of its own sequence behind a common prompt of `n_tokens`. FLOP: query
/// and value through kv_b, 2 H (2 rk + dr) for each position of each row.
Figure bench_attention_absorbed(ThreadPool& pool, int64_t n_tokens, int repeats);

/// A product of fp32 rows with a matrix of 2,048 by 2,048: its format (integers in groups of 128 for kI8 and
/// 64 for kI4), and the arithmetic. Throws Error{kUsage} for kI8 with other weights than integers,
/// Error{kEnvironment} for what the machine cannot compute.
struct GemmCase {
  kernels::Dtype weights = kernels::Dtype::kBF16;
  kernels::Compute compute = kernels::Compute::kF32;
  kernels::LatentFormat kv = kernels::LatentFormat::kF32;
};
Figure bench_gemm(ThreadPool& pool, const GemmCase& gemm, int64_t n_rows, int repeats);

}  // namespace fathom::harness
