// mla_expanded: keys and values of every head are expanded from the latent blocks, a few blocks at a time.
//
// A wave's keys and values (wave_plan.h) are expanded once for all rows and sequences that share its blocks.
// Sequences that part in the middle of a block have copies of what they share of it: such positions are found
// by their bytes and expanded once as well. Of 235 MMLU questions they were 40 % of all positions.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_expanded.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/dot_packed-inl.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/wave_plan.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

constexpr WaveLimits kLimits = {.n_blocks = 8, .tile_rows = 48};

/// An earlier slot of the wave whose first n_tokens positions hold the same latents.
struct Twin {
  int64_t slot = 0;
  int64_t n_tokens = 0;
};

/// A wave and what is expanded from it.
struct Expansion {
  const WavePlan* plan;
  Twin* twins;  // [blocks]
  MlaShape shape;
  float* packed_;     // [blocks]: the latents behind the twin's packed by pack_rows
  float* rope_keys_;  // [blocks, dr, 64]
  float* keys_;       // [blocks, H, dn, 64]
  float* values_;     // [blocks, H, 64, dv]

  float* packed(int64_t slot) const { return packed_ + slot * packed_rows_size(kBlockTokens, shape.rank); }
  float* rope_keys(int64_t slot) const { return rope_keys_ + slot * shape.rope * kBlockTokens; }
  float* keys(int64_t slot, int64_t head) const {
    return keys_ + (slot * shape.num_heads + head) * shape.nope * kBlockTokens;
  }
  float* values(int64_t slot, int64_t head) const {
    return values_ + (slot * shape.num_heads + head) * shape.v * kBlockTokens;
  }
};

/// `plan` has its own arrays already.
Expansion carve_expansion(ScratchCursor& cursor, const MlaShape& s, const WavePlan* plan) {
  const auto take = [&](int64_t block_elements) {
    return cursor.take<float>(kLimits.n_blocks * block_elements);
  };
  auto* twins = cursor.take<Twin>(kLimits.n_blocks);
  float* packed = take(packed_rows_size(kBlockTokens, s.rank));
  float* rope_keys = take(s.rope * kBlockTokens);
  float* keys = take(s.num_heads * s.nope * kBlockTokens);
  return {plan, twins, s, packed, rope_keys, keys, take(s.num_heads * s.v * kBlockTokens)};
}

/// The longest of all earlier slots of the same place.
Twin find_twin(const WavePlan& plan, int64_t slot) {
  const WaveBlock& block = plan.wave[slot];
  const auto row_bytes = static_cast<size_t>(plan.layout().row_bytes);
  Twin best;
  for (int64_t other = 0; other < slot; ++other) {
    const WaveBlock& earlier = plan.wave[other];
    if (earlier.place != block.place) continue;
    const int64_t most = std::min(block.n_tokens, earlier.n_tokens);
    int64_t n = 0;
    while (n < most && std::memcmp(plan.stored_row(block, n), plan.stored_row(earlier, n), row_bytes) == 0)
      ++n;
    if (n > best.n_tokens) best = {other, n};
  }
  return best;
}

/// Keys of one block and head, transposed [dn, 64], and its values [64, dv]; the twin's positions, and those
/// at and beyond the block's fill, are left as they are.
template <typename W>
void expand_head(const Mla& args, const W* kv_b, const Expansion& wave, int64_t slot, int64_t head) {
  const MlaShape& s = args.shape;
  const int64_t first = wave.twins[slot].n_tokens;
  const int64_t n_tokens = wave.plan->wave[slot].n_tokens - first;
  float* keys = wave.keys(slot, head) + first;
  float* values = wave.values(slot, head) + first * s.v;
  const PlainRows<W> w{kv_b + head * (s.nope + s.v) * s.rank, s.rank};
  dot_packed(wave.packed(slot), n_tokens, w, 0, s.nope, s.rank, nullptr,
             [&](int64_t j, int64_t c, float v) HWY_ATTR { keys[c * kBlockTokens + j] = v; });
  dot_packed(wave.packed(slot), n_tokens, w, s.nope, s.v, s.rank, nullptr,
             [&](int64_t j, int64_t c, float v) HWY_ATTR { values[j * s.v + c] = v; });
}

/// One head's keys and values of the positions that slots have from their twins.
void copy_twins(const Expansion& wave, int64_t head) {
  const MlaShape& s = wave.shape;
  for (int64_t slot = 0; slot < wave.plan->n_wave; ++slot) {
    const Twin& twin = wave.twins[slot];  // an earlier slot: complete by now
    if (twin.n_tokens == 0) continue;
    const float* keys = wave.keys(twin.slot, head);
    for (int64_t i = 0; i < s.nope * kBlockTokens; i += kBlockTokens)
      std::copy_n(keys + i, twin.n_tokens, wave.keys(slot, head) + i);
    std::copy_n(wave.values(twin.slot, head), twin.n_tokens * s.v, wave.values(slot, head));
  }
}

/// What all heads need of one block: its latents packed, and its rotary keys, transposed [dr, 64].
void prepare_block(const Expansion& wave, int64_t slot) {
  const MlaShape& s = wave.shape;
  const int64_t n_tokens = wave.plan->wave[slot].n_tokens;
  const float* latents = wave.plan->numbers(slot);
  const float* rows[kBlockTokens];
  for (int64_t j = 0; j < n_tokens; ++j) rows[j] = latents + j * s.latent();
  const Twin twin = wave.twins[slot] = find_twin(*wave.plan, slot);
  pack_rows(rows + twin.n_tokens, n_tokens - twin.n_tokens, s.rank, wave.packed(slot));
  float* keys = wave.rope_keys(slot);
  for (int64_t j = 0; j < n_tokens; ++j) {
    for (int64_t i = 0; i < s.rope; ++i) keys[i * kBlockTokens + j] = rows[j][s.rank + i];
  }
}

/// Rows of a tile: 12 sums keep AVX2's units busy in its 16 registers, 24 those of AVX-512 in 32.
constexpr int kAttendRows = kLanes >= 16 ? 6 : 3;

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
void attend_rows(const Mla& args, const Expansion& wave, int64_t slot, int64_t head, int64_t row,
                 int64_t position) {
  const MlaShape& s = args.shape;
  const int64_t start = wave.plan->wave[slot].start();
  alignas(64) float scores[R * kBlockTokens];
  const float* q[R];
  ValueRows<R> rows;
  for (int r = 0; r < R; ++r) {
    q[r] = static_cast<const float*>(args.q.data) + ((row + r) * s.num_heads + head) * s.qk();
  }
  score_rows<R>(q, wave.keys(slot, head), wave.rope_keys(slot), s, args.scale, scores);
  for (int r = 0; r < R; ++r) {
    rows.out[r] = static_cast<float*>(args.out.data) + ((row + r) * s.num_heads + head) * s.v;
    rows.weights[r] = scores + r * kBlockTokens;
    rows.n_valid[r] = std::min(kBlockTokens, position + r + 1 - start);
    rows.factor[r] = softmax_block(scores + r * kBlockTokens, rows.n_valid[r],
                                   wave.plan->states[(row + r) * s.num_heads + head]);
  }
  add_values<R>(rows, wave.values(slot, head), s.v, s.v);
  for (int r = 0; r < R; ++r) {
    if (position + r < start + kBlockTokens) {
      finish_row(wave.plan->states[(row + r) * s.num_heads + head], rows.out[r], s.v);
    }
  }
}

/// Takes one tile of rows of one head through the blocks of the wave that belong to its sequence.
void attend_tile(const Mla& args, const Expansion& wave, const RowTile& tile, int64_t head) {
  for (int64_t w = 0; w < wave.plan->n_wave; ++w) {
    if (!wave.plan->belongs(tile, wave.plan->wave[w])) continue;
    // Rows before the block's first position are done; they have no part in it.
    int64_t i = std::max<int64_t>(0, wave.plan->wave[w].start() - tile.position);
    const auto attend = [&]<int R>() {
      for (; i + R <= tile.n_rows; i += R)
        attend_rows<R>(args, wave, w, head, tile.row + i, tile.position + i);
    };
    attend.template operator()<kAttendRows>();
    attend.template operator()<3>();
    attend.template operator()<1>();
  }
}

template <typename W>
void expanded(const Stream& stream, const Mla& args, const W* kv_b) {
  const MlaShape& s = args.shape;
  ScratchCursor cursor(args.scratch);
  WavePlan plan(args, kLimits, cursor);
  const Expansion wave = carve_expansion(cursor, s, &plan);
  std::fill_n(plan.states, args.q.shape[0] * s.num_heads, RowState());
  std::fill_n(static_cast<float*>(args.out.data), args.out.elements(), 0.0f);
  while (plan.next_wave()) {
    unpack_wave(stream, plan);
    stream.pool->parallel_for(plan.n_wave, [&](int64_t slot) { prepare_block(wave, slot); });
    stream.pool->parallel_for(plan.n_wave * s.num_heads, [&](int64_t i) {
      expand_head(args, kv_b, wave, i / s.num_heads, i % s.num_heads);
    });
    if (std::any_of(wave.twins, wave.twins + plan.n_wave, [](const Twin& t) { return t.n_tokens > 0; }))
      stream.pool->parallel_for(s.num_heads, [&](int64_t head) { copy_twins(wave, head); });
    stream.pool->parallel_for(plan.n_tiles * s.num_heads, [&](int64_t i) {
      attend_tile(args, wave, plan.tiles[i / s.num_heads], i % s.num_heads);
    });
  }
}

void MlaExpandedTwin(const Stream& stream, const Mla& args) {
  with_weight_type(args.kv_b, [&](const auto* kv_b) { expanded(stream, args, kv_b); });
}

size_t MlaExpandedScratch(const MlaShape& s, int64_t max_rows, int64_t max_runs) {
  ScratchCursor cursor;
  WavePlan::count(cursor, s, kLimits, max_rows, max_runs);
  carve_expansion(cursor, s, nullptr);
  return cursor.used();
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(MlaExpandedTwin);
HWY_EXPORT(MlaExpandedScratch);
void mla_expanded(const Stream& stream, const Mla& args) {
  HWY_DYNAMIC_DISPATCH(MlaExpandedTwin)(stream, args);
}
size_t mla_expanded_scratch_bytes(const MlaShape& shape, int64_t max_rows, int64_t max_runs) {
  return HWY_DYNAMIC_DISPATCH(MlaExpandedScratch)(shape, max_rows, max_runs);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
