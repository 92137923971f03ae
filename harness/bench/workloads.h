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
  double weight_bytes_per_parameter = 0.0;
  kernels::Compute compute = kernels::Compute::kF32;
};

/// A prompt of `n_tokens` random ids, computed whole. FLOP: 2 for each weight that a token uses, without
/// embedding and head, and for attention in the expanded form 2 H (dn + dr + dv) n^2 / 2 a layer. With
/// --compute bf16 or int8 the FLOP of the matrices that it holds for are dot products.
Figure bench_prefill(const BenchModel& model, int64_t n_tokens, int repeats);

/// `n_sequences` generations side by side after a prompt of 32 tokens, 64 tokens each, from the first to the
/// last. Bytes (one sequence only): the weights that a token uses, head included, and the latents it reads.
Figure bench_decode(const BenchModel& model, int64_t n_sequences, int repeats);

/// 32 questions of 64 tokens with four one-token options behind a common header of `n_header` tokens.
Figure bench_score(const BenchModel& model, int64_t n_header, int repeats);

/// Text through the tokenizer, MB/s on one thread.
Figure bench_tokenizer(const BenchModel& model, int64_t n_kilobytes, int repeats);

/// A product of fp32 rows with a matrix of 2,048 by 2,048: its format (integers in groups of 128 for kI8 and
/// 64 for kI4), and the arithmetic. Throws Error{kUsage} for kI8 with other weights than integers,
/// Error{kEnvironment} for what the machine cannot compute.
struct GemmCase {
  kernels::Dtype weights = kernels::Dtype::kBF16;
  kernels::Compute compute = kernels::Compute::kF32;
};
Figure bench_gemm(ThreadPool& pool, const GemmCase& gemm, int64_t n_rows, int repeats);

}  // namespace fathom::harness
