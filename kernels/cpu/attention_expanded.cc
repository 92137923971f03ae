// mla_expanded: keys and values of every head are expanded from the latent blocks, a few blocks at a time.
//
// The distinct blocks that the batch's sequences refer to are walked in ascending place (position / 64). A
// wave of at most kWaveBlocks of them is expanded once, for all rows and sequences that share them; then
// every row takes its own blocks of the wave. So each row walks its sequence from position 0, and what else
// the wave holds does not matter to it.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_expanded.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/dot-inl.h"
#include "kernels/cpu/expanded_plan.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// Keys of one block and head, transposed [dn, 64], and its values [64, dv]; positions at and beyond the
/// block's fill are left as they are. The head's share of kv_b stays in cache for the block's tokens.
template <typename W>
void expand_head(const Mla& args, const W* kv_b, const ExpandedPlan& plan, int64_t wave_slot, int64_t head) {
  const MlaShape& s = args.shape;
  const WaveBlock& block = plan.wave[wave_slot];
  const auto* latents = static_cast<const float*>(args.cache.data) + block.id * kBlockTokens * s.latent();
  const float* rows[kBlockTokens];
  for (int64_t j = 0; j < kBlockTokens; ++j) rows[j] = latents + j * s.latent();
  float* keys = plan.keys(wave_slot, head);
  float* values = plan.values(wave_slot, head);
  const W* w_uk = kv_b + head * (s.nope + s.v) * s.rank;
  const W* w_uv = w_uk + s.nope * s.rank;
  dot_block(rows, block.n_tokens, w_uk, s.rank, s.nope, s.rank,
            [&](int64_t j, int64_t c, float v) HWY_ATTR { keys[c * kBlockTokens + j] = v; });
  dot_block(rows, block.n_tokens, w_uv, s.rank, s.v, s.rank,
            [&](int64_t j, int64_t c, float v) HWY_ATTR { values[j * s.v + c] = v; });
}

/// The rotary keys of one block, transposed [dr, 64]: the same for all heads.
void transpose_rope_keys(const Mla& args, const ExpandedPlan& plan, int64_t wave_slot) {
  const MlaShape& s = args.shape;
  const WaveBlock& block = plan.wave[wave_slot];
  const auto* latents = static_cast<const float*>(args.cache.data) + block.id * kBlockTokens * s.latent();
  float* keys = plan.rope_keys(wave_slot);
  for (int64_t j = 0; j < block.n_tokens; ++j) {
    for (int64_t i = 0; i < s.rope; ++i) keys[i * kBlockTokens + j] = latents[j * s.latent() + s.rank + i];
  }
}

/// scores[r][0 .. 64) = scale * q_r . key_j for R rows: lanes over j, fma in ascending dn + dr.
template <int R>
HWY_INLINE void score_rows(const float* const* q, const float* keys, const float* rope_keys,
                           const MlaShape& s, float scale, float* scores) {
  constexpr int kVectors = HWY_MIN(4, kBlockTokens / kLanes);
  const F32 d;
  for (int64_t j = 0; j < kBlockTokens; j += kVectors * kLanes) {
    VF32 sums[R][kVectors];
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::Zero(d);
    }
    const auto add = [&](int64_t i, const float* key_row) HWY_ATTR {
      VF32 key[kVectors];
      for (int v = 0; v < kVectors; ++v) key[v] = load(key_row + j + v * kLanes);
      for (int r = 0; r < R; ++r) {
        const VF32 x = hn::Set(d, q[r][i]);
        for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(x, key[v], sums[r][v]);
      }
    };
    for (int64_t i = 0; i < s.nope; ++i) add(i, keys + i * kBlockTokens);
    for (int64_t i = 0; i < s.rope; ++i) add(s.nope + i, rope_keys + i * kBlockTokens);
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        store(hn::Mul(sums[r][v], hn::Set(d, scale)), scores + r * kBlockTokens + j + v * kLanes);
      }
    }
  }
}

/// Moves R consecutive rows of one head, from `row` at `position`, through one block of the wave.
template <int R>
void attend_rows(const Mla& args, const ExpandedPlan& plan, int64_t wave_slot, int64_t head, int64_t row,
                 int64_t position) {
  const MlaShape& s = args.shape;
  const int64_t start = plan.wave[wave_slot].place * kBlockTokens;
  alignas(64) float scores[R * kBlockTokens];
  const float* q[R];
  ValueRows<R> rows;
  for (int r = 0; r < R; ++r) {
    q[r] = static_cast<const float*>(args.q.data) + ((row + r) * s.num_heads + head) * s.qk();
  }
  score_rows<R>(q, plan.keys(wave_slot, head), plan.rope_keys(wave_slot), s, args.scale, scores);
  for (int r = 0; r < R; ++r) {
    rows.out[r] = static_cast<float*>(args.out.data) + ((row + r) * s.num_heads + head) * s.v;
    rows.weights[r] = scores + r * kBlockTokens;
    rows.n_valid[r] = std::min(kBlockTokens, position + r + 1 - start);
    rows.factor[r] = softmax_block(scores + r * kBlockTokens, rows.n_valid[r],
                                   plan.states[(row + r) * s.num_heads + head]);
  }
  add_values<R>(rows, plan.values(wave_slot, head), s.v, s.v);
  for (int r = 0; r < R; ++r) {
    if (position + r < start + kBlockTokens) {
      finish_row(plan.states[(row + r) * s.num_heads + head], rows.out[r], s.v);
    }
  }
}

/// Takes one tile of rows of one head through the blocks of the wave that belong to its sequence.
void attend_tile(const Mla& args, const ExpandedPlan& plan, const RowTile& tile, int64_t head) {
  for (int64_t w = 0; w < plan.n_wave; ++w) {
    if (!plan.belongs(tile, plan.wave[w])) continue;
    // Rows before the block's first position are done; they have no part in it.
    const int64_t start = plan.wave[w].place * kBlockTokens;
    int64_t i = std::max<int64_t>(0, start - tile.position);
    for (; i + 3 <= tile.n_rows; i += 3) attend_rows<3>(args, plan, w, head, tile.row + i, tile.position + i);
    for (; i < tile.n_rows; ++i) attend_rows<1>(args, plan, w, head, tile.row + i, tile.position + i);
  }
}

template <typename W>
void expanded(const Stream& stream, const Mla& args, const W* kv_b) {
  const MlaShape& s = args.shape;
  ExpandedPlan plan(args);
  const int64_t n_states = args.q.shape[0] * s.num_heads;
  std::fill(plan.states, plan.states + n_states, RowState());
  std::fill_n(static_cast<float*>(args.out.data), args.out.elements(), 0.0f);
  while (plan.next_wave()) {
    stream.pool->parallel_for(plan.n_wave * s.num_heads, [&](int64_t i) {
      if (i % s.num_heads == 0) transpose_rope_keys(args, plan, i / s.num_heads);
      expand_head(args, kv_b, plan, i / s.num_heads, i % s.num_heads);
    });
    stream.pool->parallel_for(plan.n_tiles * s.num_heads, [&](int64_t i) {
      attend_tile(args, plan, plan.tiles[i / s.num_heads], i % s.num_heads);
    });
  }
}

void MlaExpandedTwin(const Stream& stream, const Mla& args) {
  with_weight_type(args.kv_b, [&](const auto* kv_b) { expanded(stream, args, kv_b); });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(MlaExpandedTwin);
void mla_expanded(const Stream& stream, const Mla& args) {
  HWY_DYNAMIC_DISPATCH(MlaExpandedTwin)(stream, args);
}
size_t mla_expanded_scratch_bytes(const MlaShape& shape, int64_t max_rows, int64_t max_runs) {
  return ExpandedPlan::scratch_bytes(shape, max_rows, max_runs);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
