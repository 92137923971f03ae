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

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// Heads that share one pass over the cache blocks.
constexpr int64_t kHeadTile = 4;

struct AbsorbedScratch {
  float* queries;   // [T, H, rk + dr]: (W_UK^T q_nope, q_rope)
  float* latents;   // [T, H, rk]: the weighted latents z
  int32_t* run_of;  // [T]: the run of each row
};

AbsorbedScratch carve_absorbed(ScratchCursor& cursor, const MlaShape& s, int64_t max_rows) {
  return {cursor.take<float>(max_rows * s.num_heads * s.latent()),
          cursor.take<float>(max_rows * s.num_heads * s.rank), cursor.take<int32_t>(max_rows)};
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

/// Takes R heads of one row through the row's whole sequence.
template <int R>
void attend_heads(const Mla& args, const AbsorbedScratch& scratch, int64_t row, int64_t head) {
  const MlaShape& s = args.shape;
  const AttentionRun& run = static_cast<const AttentionRun*>(args.runs.data)[scratch.run_of[row]];
  const int64_t position = run.first_position + row - run.first_row;
  const auto* table =
      static_cast<const int32_t*>(args.block_table.data) + run.sequence * args.block_table.shape[1];
  alignas(64) float scores[R * kBlockTokens];
  RowState states[R];
  ValueRows<R> rows;
  const float* q[R];
  for (int r = 0; r < R; ++r) {
    q[r] = scratch.queries + (row * s.num_heads + head + r) * s.latent();
    rows.out[r] = scratch.latents + (row * s.num_heads + head + r) * s.rank;
    rows.weights[r] = scores + r * kBlockTokens;
    std::fill(rows.out[r], rows.out[r] + s.rank, 0.0f);
  }
  for (int64_t place = 0; place * kBlockTokens <= position; ++place) {
    const int64_t n_valid = std::min(kBlockTokens, position + 1 - place * kBlockTokens);
    const auto* block = static_cast<const float*>(args.cache.data) + table[place] * kBlockTokens * s.latent();
    dot_strip<R, 3>(q, PlainRows<float>{block, s.latent(), s.latent()}, 0, n_valid, s.latent(),
                    [&](int64_t r, int64_t j, float v)
                        HWY_ATTR { scores[r * kBlockTokens + j] = v * args.scale; });
    for (int r = 0; r < R; ++r) {
      rows.n_valid[r] = n_valid;
      rows.factor[r] = softmax_block(scores + r * kBlockTokens, n_valid, states[r]);
    }
    add_values<R>(rows, block, s.latent(), s.rank);
  }
  for (int r = 0; r < R; ++r) finish_row(states[r], rows.out[r], s.rank);
}

void attend_head_tile(const Mla& args, const AbsorbedScratch& scratch, int64_t row, int64_t head) {
  const int64_t end = std::min(args.shape.num_heads, head + kHeadTile);
  if (end - head == kHeadTile) return attend_heads<kHeadTile>(args, scratch, row, head);
  for (; head < end; ++head) attend_heads<1>(args, scratch, row, head);
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

/// The run of each row. FATHOM_CHECKs the runs.
void assign_runs(const Mla& args, int32_t* run_of) {
  const auto* runs = static_cast<const AttentionRun*>(args.runs.data);
  int64_t next_row = 0;
  for (int64_t i = 0; i < args.runs.shape[0]; ++i) {
    FATHOM_CHECK(runs[i].first_row == next_row && runs[i].n_rows >= 0 && runs[i].first_position >= 0 &&
                     runs[i].sequence >= 0 && runs[i].sequence < args.block_table.shape[0] &&
                     runs[i].first_position + runs[i].n_rows <= args.block_table.shape[1] * kBlockTokens,
                 "run {}", i);
    for (int32_t r = 0; r < runs[i].n_rows; ++r) run_of[next_row++] = static_cast<int32_t>(i);
  }
  FATHOM_CHECK(next_row == args.q.shape[0], "runs cover {} of {} rows", next_row, args.q.shape[0]);
}

template <typename W>
void absorbed(const Stream& stream, const Mla& args, const W* kv_b) {
  const MlaShape& s = args.shape;
  const int64_t n_rows = args.q.shape[0];
  const auto* q = static_cast<const float*>(args.q.data);
  ScratchCursor cursor(args.scratch);
  const AbsorbedScratch scratch = carve_absorbed(cursor, s, n_rows);
  assign_runs(args, scratch.run_of);
  // Heads vary slowest: consecutive tasks share a head's weights.
  stream.pool->parallel_for(s.num_heads * n_rows, [&](int64_t i) {
    const int64_t head = i / n_rows;
    const int64_t at = i % n_rows * s.num_heads + head;
    const W* w_uk = kv_b + head * (s.nope + s.v) * s.rank;
    float* query = scratch.queries + at * s.latent();
    absorb_query(q + at * s.qk(), w_uk, query, s.nope, s.rank);
    std::copy(q + at * s.qk() + s.nope, q + (at + 1) * s.qk(), query + s.rank);
  });
  const int64_t head_tiles = div_up(s.num_heads, kHeadTile);
  stream.pool->parallel_for(n_rows * head_tiles, [&](int64_t i) {
    attend_head_tile(args, scratch, i / head_tiles, i % head_tiles * kHeadTile);
  });
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
