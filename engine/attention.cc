// Multi-head latent attention of Forward.
#include "base/error.h"
#include "engine/forward.h"

namespace fathom::engine {
namespace {

// q_a_layernorm and kv_a_layernorm: the original model builds both with its norm's default eps, not with
// rms_norm_eps.
constexpr float kLatentNormEps = 1e-6f;

}  // namespace

// normed -> delta. q = W_q x or W_qb RMSNorm(W_qa x); (c | k_pe) = W_kva x, c normed and k_pe rotated on
// their way into the cache; y = W_o softmax(...) v.
void Forward::attention(int64_t i) {
  const AttentionWeights& w = weights_.layers[static_cast<size_t>(i)].self_attn;
  const int64_t n = n_rows();
  const Tensor normed = work_.normed.rows(n);          // [T, h]
  const Tensor q = work_.q.rows(n);                    // [T, H (dn + dr)]
  const Tensor kv = work_.kv.rows(n);                  // [T, rk + dr]
  const Tensor rope_table = work_.rope_table.rows(n);  // [T, dr]

  if (config_.q_lora_rank) {
    const Tensor q_latent = work_.q_latent.rows(n);  // [T, rq]
    linear({.x = normed, .weight = w.q_a_proj, .bias = w.q_a_proj_bias, .out = q_latent});
    kernels::rms_norm(stream_,
                      {.x = q_latent, .weight = w.q_a_layernorm, .eps = kLatentNormEps, .out = q_latent});
    linear({.x = q_latent, .weight = w.q_b_proj, .out = q});
  } else {
    linear({.x = normed, .weight = w.q_proj, .out = q});
  }
  kernels::rope(stream_, {.x = work_.q.view({n, shape_.num_heads, shape_.qk()}), .table = rope_table});

  linear({.x = normed, .weight = w.kv_a_proj_with_mqa, .bias = w.kv_a_proj_with_mqa_bias, .out = kv});
  kernels::write_latents(stream_, {.kv = kv,
                                   .weight = w.kv_a_layernorm,
                                   .eps = kLatentNormEps,
                                   .table = rope_table,
                                   .slots = batch_.slots(),
                                   .cache = cache_.layer(i),
                                   .format = cache_.format()});
  attend(i, AttentionForm::kExpanded);
  attend(i, AttentionForm::kAbsorbed);
  linear(
      {.x = work_.attended.rows(n), .weight = w.o_proj, .bias = w.o_proj_bias, .out = work_.delta.rows(n)});
}

void Forward::attend(int64_t i, AttentionForm form) {
  const Batch::Part part = batch_.part(form);
  if (part.n_rows == 0) return;
  const int64_t end = part.first_row + part.n_rows;
  const kernels::Mla args{
      .shape = shape_,
      .q = work_.q.view({n_rows(), shape_.num_heads, shape_.qk()}).rows(part.first_row, end),
      .cache = cache_.layer(i),
      .block_table = batch_.block_table(),
      .runs = part.runs,
      .kv_b = weights_.layers[static_cast<size_t>(i)].self_attn.kv_b_proj,
      .scale = softmax_scale_,
      .out = work_.attended.view({n_rows(), shape_.num_heads, shape_.v}).rows(part.first_row, end),
      .scratch = work_.scratch.scratch(),
      .format = cache_.format(),
  };
  if (form == AttentionForm::kExpanded) {
    kernels::mla_expanded(stream_, args);
  } else {
    kernels::mla_absorbed(stream_, args);
  }
}

}  // namespace fathom::engine
