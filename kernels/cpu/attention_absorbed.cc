// mla_absorbed: the query goes into the latent space, the latent blocks are read as they are, and the
// weighted latent comes back through W_UV.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_absorbed.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/dot-inl.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/tiling.h"
#include "kernels/cpu/wave_plan.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// Heads that share one pass over the cache blocks.
constexpr int64_t kHeadTile = 4;

/// Positions whose scores are computed side by side with those of the heads.
constexpr int kScoreTile = kLanes >= 16 ? 4 : 3;
/// Waves are longer than the expanded form's: nothing is made of a block that is not packed. Generated tokens
/// are one row each; rows that share a block meet it one after the other, while it is in cache.
constexpr WaveLimits kLimits = {.n_blocks = 16, .tile_rows = 16};

struct AbsorbedScratch {
  float* queries;  // [T, H, rk + dr]: (W_UK^T q_nope, q_rope)
  float* latents;  // [T, H, rk]: the weighted latents z
};

AbsorbedScratch carve_absorbed(ScratchCursor& cursor, const MlaShape& s, int64_t max_rows) {
  return {cursor.take<float>(max_rows * s.num_heads * s.latent()),
          cursor.take<float>(max_rows * s.num_heads * s.rank)};
}

/// out[0 .. rank) = sum_n q[n] w[n], rows of w in ascending order, four at a time so that `out` passes
/// through registers a quarter as often; the fmas of an element stay in order.
template <typename W>
void absorb_query(const float* q, const W* w, float* out, int64_t nope, int64_t rank) {
  const F32 d;
  std::fill(out, out + rank, 0.0f);
  int64_t n = 0;
  for (; n + 4 <= nope; n += 4) {
    for_vectors(rank, [&](int64_t i, int64_t lanes) {
      VF32 sum = load_n(out + i, lanes);
      for (int64_t m = n; m < n + 4; ++m)
        sum = hn::MulAdd(hn::Set(d, q[m]), load_n(w + m * rank + i, lanes), sum);
      store_n(sum, out + i, lanes);
    });
  }
  for (; n < nope; ++n) {
    for_vectors(rank, [&](int64_t i, int64_t lanes) {
      store_n(hn::MulAdd(hn::Set(d, q[n]), load_n(w + n * rank + i, lanes), load_n(out + i, lanes)), out + i,
              lanes);
    });
  }
}

/// Takes R heads of one row, at `position`, through one block of the wave.
template <int R>
void attend_heads(const Mla& args, const WavePlan& plan, const AbsorbedScratch& scratch, int64_t slot,
                  int64_t row, int64_t position, int64_t head) {
  const MlaShape& s = args.shape;
  const int64_t start = plan.wave[slot].start();
  const int64_t n_valid = std::min(kBlockTokens, position + 1 - start);
  const float* block = plan.numbers(slot);
  const int64_t first = row * s.num_heads + head;
  alignas(64) float scores[R * kBlockTokens];
  ValueRows<R> rows;
  const float* q[R];
  for (int r = 0; r < R; ++r) q[r] = scratch.queries + (first + r) * s.latent();
  dot_strip<R, kScoreTile>(q, PlainRows<float>{block, s.latent()}, 0, n_valid, s.latent(),
                           [&](int64_t r, int64_t j, float v)
                               HWY_ATTR { scores[r * kBlockTokens + j] = v * args.scale; });
  for (int r = 0; r < R; ++r) {
    rows.out[r] = scratch.latents + (first + r) * s.rank;
    rows.weights[r] = scores + r * kBlockTokens;
    rows.n_valid[r] = n_valid;
    rows.factor[r] = softmax_block(scores + r * kBlockTokens, n_valid, plan.states[first + r]);
  }
  add_values<R>(rows, block, s.latent(), s.rank);
  if (position >= start + kBlockTokens) return;
  for (int r = 0; r < R; ++r) finish_row(plan.states[first + r], rows.out[r], s.rank);
}

/// Takes the rows of some tiles, kHeadTile heads of them, through the wave, a block at a time.
void attend_tiles(const Mla& args, const WavePlan& plan, const AbsorbedScratch& scratch, int64_t begin,
                  int64_t end, int64_t head) {
  const int64_t head_end = std::min(args.shape.num_heads, head + kHeadTile);
  for (int64_t slot = 0; slot < plan.n_wave; ++slot) {
    for (int64_t t = begin; t < end; ++t) {
      const RowTile& tile = plan.tiles[t];
      if (!plan.belongs(tile, plan.wave[slot])) continue;
      // Rows before the block's first position are done; they have no part in it.
      for (int64_t i = std::max<int64_t>(0, plan.wave[slot].start() - tile.position); i < tile.n_rows; ++i) {
        const int64_t row = tile.row + i, position = tile.position + i;
        if (head_end - head == kHeadTile) {
          attend_heads<kHeadTile>(args, plan, scratch, slot, row, position, head);
          continue;
        }
        for (int64_t h = head; h < head_end; ++h)
          attend_heads<1>(args, plan, scratch, slot, row, position, h);
      }
    }
  }
}

/// Tasks of a head tile: enough to go round, few so that rows meet a block together.
int64_t tile_groups(const Stream& stream, int64_t n_tiles, int64_t head_tiles) {
  return std::clamp<int64_t>(div_up(4 * stream.pool->n_threads(), head_tiles), 1,
                             std::max<int64_t>(n_tiles, 1));
}

/// Scores and weighted latents of all rows.
void attend_all(const Stream& stream, const Mla& args, WavePlan& plan, const AbsorbedScratch& scratch) {
  const MlaShape& s = args.shape;
  const int64_t n_states = args.q.shape[0] * s.num_heads;
  std::fill_n(plan.states, n_states, RowState());
  std::fill_n(scratch.latents, n_states * s.rank, 0.0f);
  const int64_t head_tiles = div_up(s.num_heads, kHeadTile);
  const int64_t n_groups = tile_groups(stream, plan.n_tiles, head_tiles);
  while (plan.next_wave()) {
    unpack_wave(stream, plan);
    stream.pool->parallel_for(n_groups * head_tiles, [&](int64_t i) {
      const int64_t group = i / head_tiles;
      attend_tiles(args, plan, scratch, group * plan.n_tiles / n_groups,
                   (group + 1) * plan.n_tiles / n_groups, i % head_tiles * kHeadTile);
    });
  }
}

/// Values of one head for a block of rows: out = W_UV z.
template <typename W>
void unabsorb(const Mla& args, const AbsorbedScratch& scratch, const W* w_uv, int64_t head, int64_t begin,
              int64_t end) {
  const MlaShape& s = args.shape;
  const float* rows[kMaxRowBlock];
  for (int64_t t = begin; t < end; ++t) rows[t - begin] = scratch.latents + (t * s.num_heads + head) * s.rank;
  auto* out = static_cast<float*>(args.out.data);
  dot_block(rows, end - begin, w_uv, s.rank, s.v, s.rank, [&](int64_t r, int64_t c, float v) HWY_ATTR {
    out[((begin + r) * s.num_heads + head) * s.v + c] = v;
  });
}

template <typename W>
void absorbed(const Stream& stream, const Mla& args, const W* kv_b) {
  const MlaShape& s = args.shape;
  const int64_t n_rows = args.q.shape[0];
  const auto* q = static_cast<const float*>(args.q.data);
  ScratchCursor cursor(args.scratch);
  WavePlan plan(args, kLimits, cursor);
  const AbsorbedScratch scratch = carve_absorbed(cursor, s, n_rows);
  // Heads vary slowest: consecutive tasks share a head's weights.
  stream.pool->parallel_for(s.num_heads * n_rows, [&](int64_t i) {
    const int64_t head = i / n_rows;
    const int64_t at = i % n_rows * s.num_heads + head;
    const W* w_uk = kv_b + head * (s.nope + s.v) * s.rank;
    float* query = scratch.queries + at * s.latent();
    absorb_query(q + at * s.qk(), w_uk, query, s.nope, s.rank);
    std::copy(q + at * s.qk() + s.nope, q + (at + 1) * s.qk(), query + s.rank);
  });
  attend_all(stream, args, plan, scratch);
  const int64_t row_blocks = div_up(n_rows, kMaxRowBlock);
  stream.pool->parallel_for(s.num_heads * row_blocks, [&](int64_t i) {
    const int64_t head = i / row_blocks;
    const int64_t begin = i % row_blocks * kMaxRowBlock;
    const W* w_uv = kv_b + (head * (s.nope + s.v) + s.nope) * s.rank;
    unabsorb(args, scratch, w_uv, head, begin, std::min(n_rows, begin + kMaxRowBlock));
  });
}

void MlaAbsorbedTwin(const Stream& stream, const Mla& args) {
  with_weight_type(args.kv_b, [&](const auto* kv_b) { absorbed(stream, args, kv_b); });
}

size_t MlaAbsorbedScratch(const MlaShape& shape, int64_t max_rows) {
  ScratchCursor cursor;
  WavePlan::count(cursor, shape, kLimits, max_rows, max_rows);
  carve_absorbed(cursor, shape, max_rows);
  return cursor.used();
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(MlaAbsorbedTwin);
HWY_EXPORT(MlaAbsorbedScratch);
void mla_absorbed(const Stream& stream, const Mla& args) {
  HWY_DYNAMIC_DISPATCH(MlaAbsorbedTwin)(stream, args);
}
size_t mla_absorbed_scratch_bytes(const MlaShape& shape, int64_t max_rows) {
  return HWY_DYNAMIC_DISPATCH(MlaAbsorbedScratch)(shape, max_rows);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
