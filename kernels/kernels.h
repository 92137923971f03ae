// kernels.h: every tensor operation of the forward pass, declared once: meaning, shapes, dtypes, numerics.
//
// An operation takes one parameter struct. The functions here check its shapes and hand it to the twin of
// stream.space: kernels/cpu/ or kernels/cuda/. The code above never looks inside a Tensor, so it does not
// change with the space.
//
// What every twin of every operation promises (docs/numerics.md; tested in tests/kernels):
//  - A row of an output is a function of that row's own inputs. The number of rows, their neighbours, the
//    thread count and the order of work do not change one bit of it: each output element has one accumulation
//    order, fixed by the twin and the instruction set. No atomics on values, no sums across threads.
//  - fp32 arithmetic and accumulation; weights may be F32, BF16 or F16 and are widened exactly, those of
//  linear
//    and expert_mlps also F8_E4M3, I8 or I4 with scales: the numbers they stand for (tensor.h) are the
//    weights. Nothing is reassociated or contracted behind the source's back: a fused multiply-add is one
//    that the source names.
//  - NaN and infinities pass through to the output of their row; mark_non_finite finds them.
//  - Outputs must not overlap inputs unless the operation says so.
//  - Nothing is allocated. An operation that needs room says how much (..._scratch_bytes) and gets a Scratch.
//
// A broken shape is a bug in the caller: FATHOM_CHECK. Calls on one Stream come from one thread.
//
// Symbols: T rows (tokens), K inputs, N outputs, H heads, dn/dr/dv the nope, rope and value head sizes,
// rk = kv_lora_rank, E experts, k experts per token, m expert width, h hidden size, V vocabulary.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/latent_format.h"
#include "kernels/tensor.h"

namespace fathom {
class ThreadPool;
}

namespace fathom::kernels {

namespace cuda {
struct ProvenLibrary;
}

/// Where and with what operations run. On the CPU: the pool's threads, and each call is finished on return.
/// On a device: calls are queued in order; download() waits for them.
struct Stream {
  Space space = Space::kCpu;
  ThreadPool* pool = nullptr;  ///< kCpu: required; borrowed
  void* device = nullptr;      ///< kCuda: a cudaStream_t (kernels/device.h); borrowed
  /// kCuda: the vendor's library that computes some products (OwnedStream::use_library), or null; borrowed
  cuda::ProvenLibrary* library = nullptr;
};

/// Bytes that an operation may overwrite; contents mean nothing between calls. 64-byte aligned.
struct Scratch {
  void* data = nullptr;
  size_t bytes = 0;
};

/// The arithmetic that results depend on, for the numerics identity: the version of the accumulation orders
/// ("cpu-1") and the instruction set they run on ("AVX2").
std::string kernel_set(Space space);
std::string instruction_set(Space space);

/// The arithmetic of `linear` and `expert_mlps` (docs/numerics.md).
enum class Compute : uint8_t {
  kF32,   ///< fp32 activations times the numbers that the weights stand for, in fp32
  kBF16,  ///< both rounded to bf16, products added in fp32 in the order of the machine's bf16 dot product
  kI8,  ///< with I8 and I4 weights: activations quantised per token and group, integer products; others: kF32
};
std::string_view compute_name(Compute compute);  // "fp32", "bf16", "int8"

/// Why this machine cannot compute so, or nothing. The first call for a kind of arithmetic checks its kernels
/// against a scalar twin.
std::optional<std::string> compute_refusal(Space space, Compute compute);

/// Checks the kernels of the chosen instruction set against a scalar twin, once a process, and chooses
/// another when they fail. Throws Error{kEnvironment} when none passes.
void check_kernels(Space space);

// ---------------------------------------------------------------------------------------------------------
// Moving numbers

/// Copies `bytes.size()` bytes of host memory to the front of `to`, any dtype.
void upload(const Stream& stream, std::span<const std::byte> bytes, const Tensor& to);
/// Copies the front of `from` to host memory once all earlier work on the stream is done.
void download(const Stream& stream, const Tensor& from, std::span<std::byte> bytes);

/// out[t] = table[rows[t]], widened to F32. The embedding, and the choice of scored rows.
struct GatherRows {
  Tensor table;  // [R, D] F32, BF16 or F16
  Tensor rows;   // [T] I32, each in [0, R)
  Tensor out;    // [T, D] F32
};
void gather_rows(const Stream& stream, const GatherRows& args);

/// to = from, rounded to nearest even when `to` is BF16.
struct Convert {
  Tensor from;  // any shape, F32, BF16 or F16
  Tensor to;    // same shape, F32 or BF16
};
void convert(const Stream& stream, const Convert& args);

// ---------------------------------------------------------------------------------------------------------
// Rows

/// out = weight * (x / sqrt(mean(x^2) + eps)). With `add`, x <- x + add first (the residual stream), in
/// place.
struct RmsNorm {
  Tensor x;       // [T, N] F32; written only with `add`
  Tensor add;     // [T, N] F32, or empty
  Tensor weight;  // [N]
  float eps = 0;
  Tensor out;  // [T, N] F32; may be x without `add`
};
void rms_norm(const Stream& stream, const RmsNorm& args);

/// x <- x + delta.
struct Add {
  Tensor x;      // [T, N] F32
  Tensor delta;  // [T, N] F32
};
void add(const Stream& stream, const Add& args);

/// gate <- silu(gate) * up, silu(z) = z / (1 + e^-z).
struct SiluMul {
  Tensor gate;  // [T, N] F32
  Tensor up;    // [T, N] F32
};
void silu_mul(const Stream& stream, const SiluMul& args);

/// Sets flags[index] to 1 when `x` holds a NaN or an infinity, else leaves it.
struct MarkNonFinite {
  Tensor x;      // any shape, F32
  Tensor flags;  // [n] I32
  int64_t index = 0;
};
void mark_non_finite(const Stream& stream, const MarkNonFinite& args);

// ---------------------------------------------------------------------------------------------------------
// Products

/// out[t, n] = sum_k x[t, k] weight[n, k] (+ bias[n]); with accumulate, out + that sum.
/// Order of the sum: lane l of a vector adds k = l, l + lanes, ... by fma in ascending order (a last partial
/// step is padded with zeros), then the lanes are added by the instruction set's fixed tree.
struct Linear {
  Tensor x;       // [T, K] F32
  Tensor weight;  // [N, K]
  Tensor bias;    // [N], or empty
  Tensor out;     // [T, N] F32
  bool accumulate = false;
  Compute compute = Compute::kF32;
  Scratch scratch;
};
void linear(const Stream& stream, const Linear& args);
size_t linear_scratch_bytes(const Stream& stream, Compute compute, int64_t max_rows, int64_t max_inputs);

// ---------------------------------------------------------------------------------------------------------
// Positions and the latent cache

/// Tokens of one cache block. Blocks lie on an absolute grid: block b of a sequence holds the positions
/// [64 b, 64 b + 64), wherever a batch or a chunk begins.
inline constexpr int64_t kBlockTokens = 64;

/// out[t] = factor * (cos a_0, sin a_0, cos a_1, sin a_1, ...), a_j = position[t] * inv_freq[j], the product
/// in fp32 (the reference's angle), cos and sin correct to the last fp32 bit or the one before.
struct RopeTable {
  Tensor positions;  // [T] I32
  Tensor inv_freq;   // [dr / 2] F32
  float factor = 1;  // the YaRN attention factor; multiplies cos and sin alike
  Tensor out;        // [T, dr] F32
};
void rope_table(const Stream& stream, const RopeTable& args);

/// Rotates the last dr elements of each head, in place. Pairs are interleaved as the checkpoint stores them:
/// (x_2j, x_2j+1) <- (x_2j cos - x_2j+1 sin, x_2j+1 cos + x_2j sin).
struct Rope {
  Tensor x;      // [T, H, dn + dr] F32
  Tensor table;  // [T, dr] F32 of rope_table
};
void rope(const Stream& stream, const Rope& args);

/// Writes one cache row a token: RMSNorm(kv[:rk]) and the rotated kv[rk:] (both may also replace kv), rounded
/// to the cache's format.
struct WriteLatents {
  Tensor kv;      // [T, rk + dr] F32, the output of kv_a_proj_with_mqa; may be overwritten
  Tensor weight;  // [rk], kv_a_layernorm
  float eps = 0;
  Tensor table;  // [T, dr] F32 of rope_table
  Tensor slots;  // [T] I32: block * 64 + place in the block, each at most once
  Tensor cache;  // [n_blocks, 64, rk + dr] F32; other formats: [n_blocks, 64, bytes of a row] U8
  LatentFormat format = LatentFormat::kF32;
};
void write_latents(const Stream& stream, const WriteLatents& args);

// ---------------------------------------------------------------------------------------------------------
// Attention over the paged latent cache

/// Consecutive rows of a batch that are consecutive positions of one sequence. Row first_row + i is position
/// first_position + i and sees the cache at positions 0 .. first_position + i, its own included.
struct AttentionRun {
  int32_t first_row = 0;
  int32_t n_rows = 0;
  int32_t first_position = 0;
  int32_t sequence = 0;  ///< row of the block table
};

struct MlaShape {
  int64_t num_heads = 0;
  int64_t nope = 0;  ///< qk_nope_head_dim
  int64_t rope = 0;  ///< qk_rope_head_dim
  int64_t v = 0;     ///< v_head_dim
  int64_t rank = 0;  ///< kv_lora_rank

  int64_t qk() const { return nope + rope; }
  int64_t latent() const { return rank + rope; }
};

/// Multi-head latent attention: per head a, score_j = scale * (q_nope . W_UK[a] c_j + q_rope . k_rope_j) over
/// the cached positions j, out = sum_j softmax(score)_j W_UV[a] c_j, where (c_j, k_rope_j) is cache row j.
/// The cache is walked block by block from position 0 with a running maximum; a row takes exactly its own
/// positions, so neither chunk limits nor neighbours nor what lies behind it in a block can matter. Rows are
/// read back as they are stored, those of the same batch too: the numbers of the cache's format are the
/// operands.
struct Mla {
  MlaShape shape;
  Tensor q;            // [T, H, dn + dr] F32, rotated
  Tensor cache;        // as in WriteLatents, the rows' own positions already written
  Tensor block_table;  // [S, B] I32: block ids of each sequence from position 0
  Tensor runs;         // [n, 4] I32: AttentionRun; they cover the rows 0 .. T-1 in ascending order
  Tensor kv_b;         // [H (dn + dv), rk]: per head dn rows W_UK, then dv rows W_UV
  float scale = 0;
  Tensor out;  // [T, H, dv] F32
  Scratch scratch;
  LatentFormat format = LatentFormat::kF32;
};

/// The form for prompts and scored tokens: keys and values of every head are expanded from the latents, block
/// by block, once for all rows and sequences that share the block.
/// Order: key and value elements as in `linear`; a score adds its dn + dr products by fma in ascending order;
/// a block's weighted values are added by fma in ascending position.
void mla_expanded(const Stream& stream, const Mla& args);
size_t mla_expanded_scratch_bytes(const Stream& stream, const MlaShape& shape, int64_t max_rows,
                                  int64_t max_runs);

/// The form for generated tokens: the query is taken into the latent space, so the cache is read as it is.
/// Order: W_UK^T q by fma in ascending dn; scores as in `linear` over rk + dr; weighted latents by fma in
/// ascending position; W_UV z as in `linear`.
void mla_absorbed(const Stream& stream, const Mla& args);
size_t mla_absorbed_scratch_bytes(const Stream& stream, const MlaShape& shape, int64_t max_rows);

// ---------------------------------------------------------------------------------------------------------
// Mixture of experts

/// Softmax over all experts, then the choice of k: the k largest, or with groups first the topk_group groups
/// (contiguous, n_group of them) of largest maximum. Equal scores: the lower id first, groups likewise.
/// Weights are the chosen probabilities times `scale`; with norm_topk_prob and k > 1 they are divided by
/// their sum + 1e-20 and not scaled (the original model's rule).
struct Route {
  Tensor logits;  // [T, E] F32, E <= 1024; overwritten by the probabilities
  int64_t n_group = 1;
  int64_t topk_group = 1;  // n_group: no limit
  bool norm_topk_prob = false;
  float scale = 1;
  Tensor experts;  // [T, k] I32, distinct, in descending probability
  Tensor weights;  // [T, k] F32
};
void route(const Stream& stream, const Route& args);

/// out[t] = sum over the token's experts in ascending id of weight * down(silu(gate x) * up x), by fma from
/// zero, each product as in `linear`. A weight of exactly 0 is skipped: 0 * inf must not become NaN.
struct ExpertMlps {
  Tensor x;                      // [T, h] F32
  Tensor experts;                // [T, k] I32, distinct within a row
  Tensor weights;                // [T, k] F32
  std::span<const Tensor> gate;  // E of [m, h]
  std::span<const Tensor> up;    // E of [m, h]
  std::span<const Tensor> down;  // E of [h, m]
  Tensor out;                    // [T, h] F32
  Compute compute = Compute::kF32;
  Scratch scratch;
};
void expert_mlps(const Stream& stream, const ExpertMlps& args);
struct ExpertMlpsShape {
  int64_t max_rows = 0;
  int64_t n_experts = 0;
  int64_t experts_per_token = 0;
  int64_t hidden = 0;  ///< h
  int64_t width = 0;   ///< m
  Compute compute = Compute::kF32;
};
size_t expert_mlps_scratch_bytes(const Stream& stream, const ExpertMlpsShape& shape);

// ---------------------------------------------------------------------------------------------------------
// Scores and draws. log p_v = logit_v - log sum_u e^logit_u; exponentials of fp32 differences to the row's
// maximum, their sum and the logarithm in double, the result rounded to fp32. Equal logits: the lowest id.

/// log p of chosen ids, and the most likely id, of each row.
struct LogSoftmaxGather {
  Tensor logits;    // [T, V] F32
  Tensor offsets;   // [T + 1] I32: row t's ids are ids[offsets[t]] .. ids[offsets[t + 1] - 1]
  Tensor ids;       // [n] I32
  Tensor logprobs;  // [n] F32
  Tensor argmax;    // [T] I32
};
void log_softmax_gather(const Stream& stream, const LogSoftmaxGather& args);

/// The k best ids of each row in descending log p.
struct TopLogprobs {
  Tensor logits;    // [T, V] F32
  Tensor ids;       // [T, k] I32, k <= V
  Tensor logprobs;  // [T, k] F32
};
void top_logprobs(const Stream& stream, const TopLogprobs& args);

/// How one row's token is chosen. temperature 0: the most likely. Else p is the softmax of logits /
/// temperature; the smallest set of most likely ids whose p reaches top_p is kept (at least one; the id that
/// crosses top_p is kept); the id is where a uniform draw from hash(seed, position) falls when the kept ids
/// are laid side by side in ascending order. Sums in double.
struct RowSampling {
  float temperature = 0;
  float top_p = 1;
  uint64_t seed = 0;
  int64_t position = 0;  ///< of the drawn token in its sequence
};
struct Sample {
  Tensor logits;  // [T, V] F32
  std::span<const RowSampling> rows;
  Tensor ids;       // [T] I32
  Tensor logprobs;  // [T] F32: log p of the drawn id at temperature 1, whatever the temperature
  Scratch scratch;
};
void sample(const Stream& stream, const Sample& args);
size_t sample_scratch_bytes(const Stream& stream, int64_t max_rows, int64_t vocab_size);

}  // namespace fathom::kernels
