// mla_absorbed: the query goes into the latent space, the latent blocks are read as they are, and the
// weighted latent comes back through W_UV.
//
// A row's sequence is cut at multiples of kSplitTokens from position 0. A block walks one split for one row
// and a few heads, cache block by cache block with a running maximum; the splits' (maximum, sum, weighted
// latent) are then folded in ascending order. As many splits as the scratch has room for are in flight at a
// time, which decides no order.
#include "kernels/cpu/scratch.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/product.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/softmax.h"
#include "kernels/cuda/weight_type.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int64_t kHeadTile = kRowWarps;  // a warp for the softmax of each
constexpr int64_t kMaxRank = 1024;
/// Loads that are on their way before the first is used.
constexpr int kAhead = 4;
/// Rows in flight times splits of each, at least.
constexpr int64_t kMinPartials = 512;

struct AbsorbedScratch {
  float* queries;                // [T, H, rk + dr]: (W_UK^T q_nope, q_rope)
  float* latents;                // [T, H, rk]: what the splits so far weigh, in the end z
  SoftmaxState* states;          // [T, H]: of the splits so far
  float* partials;               // [splits in flight, T, H, rk]
  SoftmaxState* partial_states;  // [splits in flight, T, H]
};

int64_t n_partials(int64_t max_rows) {
  return at_least(max_rows, kMinPartials);
}

AbsorbedScratch carve(cpu::ScratchCursor& cursor, const MlaShape& s, int64_t max_rows) {
  const int64_t n = max_rows * s.num_heads;
  const int64_t n_partial = n_partials(max_rows) * s.num_heads;
  return {cursor.take<float>(n * s.latent()), cursor.take<float>(n * s.rank), cursor.take<SoftmaxState>(n),
          cursor.take<float>(n_partial * s.rank), cursor.take<SoftmaxState>(n_partial)};
}

struct Shape {
  int64_t n_heads, nope, rope, v, rank;
  FATHOM_HD int64_t qk() const { return nope + rope; }
  FATHOM_HD int64_t latent() const { return rank + rope; }
};

/// queries = W_UK^T q_nope by fma in ascending dn, and q_rope as it is: 8 rows by 128 columns of one head.
template <typename W>
struct AbsorbQueryKernel {
  static constexpr int kThreads = 128;
  static constexpr int kRows = 8;
  static constexpr const char* kName = "mla_absorbed (query)";
  struct Params {
    Shape s;
    const float* q;
    const W* kv_b;
    float* queries;
    int64_t n_rows;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const Shape& s = p.s;
    const int64_t column = simt.block_x() * kThreads + simt.thread();
    const int64_t first = simt.block_y() * kRows;
    const int64_t head = simt.block_z();
    if (column >= s.latent()) return;
    const W* w = p.kv_b + head * (s.nope + s.v) * s.rank;
    float sums[kRows] = {};
    for (int64_t n = 0; n < s.nope && column < s.rank; n += kAhead) {
      float weights[kAhead] = {};
      FATHOM_UNROLL
      for (int i = 0; i < kAhead; ++i) {
        if (n + i < s.nope) weights[i] = widen(w[(n + i) * s.rank + column]);
      }
      FATHOM_UNROLL
      for (int i = 0; i < kAhead; ++i) {
        FATHOM_UNROLL
        for (int r = 0; r < kRows; ++r) {
          if (first + r >= p.n_rows || n + i >= s.nope) continue;
          sums[r] = fmaf(p.q[((first + r) * s.n_heads + head) * s.qk() + n + i], weights[i], sums[r]);
        }
      }
    }
    FATHOM_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (first + r >= p.n_rows) continue;
      const int64_t at = (first + r) * s.n_heads + head;
      p.queries[at * s.latent() + column] =
          column < s.rank ? sums[r] : p.q[at * s.qk() + s.nope + column - s.rank];
    }
  }
};

/// One split of one row for kHeadTile heads; a thread has kColumns columns of the latent.
template <int kColumns>
struct SplitKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "mla_absorbed (split)";
  struct Params {
    Shape s;
    const float* queries;
    const float* cache;
    const int32_t* block_table;
    int64_t table_width;
    const AttentionRun* runs;
    int64_t n_runs;
    float scale;
    int64_t n_rows;
    int64_t first_split;
    float* partials;
    SoftmaxState* partial_states;
  };
  struct alignas(16) Shared {
    float scores[kHeadTile][kBlockTokens];
    float factor[kHeadTile];
  };
  static constexpr int kTogether = 4;  // positions whose scores a warp computes at the same time
  static size_t shared_bytes(const Shape& s) {
    return sizeof(Shared) + static_cast<size_t>(kHeadTile * s.latent()) * sizeof(float);
  }

  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const Shape& s = p.s;
    const int64_t n_tiles = div_up(s.n_heads, kHeadTile);
    const int64_t row = simt.block_x() / n_tiles;
    const int64_t head = simt.block_x() % n_tiles * kHeadTile;
    const int64_t n_heads = at_most(kHeadTile, s.n_heads - head);
    const int64_t split = p.first_split + simt.block_y();
    const RowPlace place = row_place(p.runs, p.n_runs, row);
    if (place.sequence < 0) return simt.fail();
    if (split >= n_splits(place.position)) return;
    auto& shared = *simt.shared<Shared>();
    auto* q = simt.shared<float>(sizeof(Shared));  // [n_heads, rk + dr]
    const float* from = p.queries + (row * s.n_heads + head) * s.latent();
    for (int64_t i = simt.thread(); i < n_heads * s.latent(); i += kThreads) q[i] = from[i];
    simt.barrier();

    const int32_t* table = p.block_table + place.sequence * p.table_width;
    SoftmaxState state{-INFINITY, 0.0f};  // of the head of this warp; the same in all its lanes
    float o[kHeadTile][kColumns] = {};
    for (int64_t at = split * kSplitPlaces; at < (split + 1) * kSplitPlaces; ++at) {
      const int64_t n_valid = n_seen(place.position, at);
      if (n_valid == 0) break;
      const float* block = p.cache + cache_row(table, at * kBlockTokens) * s.latent();
      score(simt, p, q, block, n_valid, n_heads, shared);
      simt.barrier();
      if (simt.warp() < n_heads) {
        const float factor = softmax_block(simt, shared.scores[simt.warp()], n_valid, state);
        if (simt.lane() == 0) shared.factor[simt.warp()] = factor;
      }
      simt.barrier();
      add_values(simt, s, block, n_valid, shared, o);
      simt.barrier();
    }
    const int64_t out = (simt.block_y() * p.n_rows + row) * s.n_heads + head;
    FATHOM_UNROLL
    for (int h = 0; h < kHeadTile; ++h) {
      FATHOM_UNROLL
      for (int c = 0; c < kColumns; ++c) {
        const int64_t column = simt.thread() + c * kThreads;
        if (h < n_heads && column < s.rank) p.partials[(out + h) * s.rank + column] = o[h][c];
      }
    }
    if (simt.warp() < n_heads && simt.lane() == 0) p.partial_states[out + simt.warp()] = state;
  }

 private:
  /// Of as many positions, in one load from shared memory.
  struct alignas(16) Weights {
    float of[kAhead];
  };

  /// A warp takes kTogether positions in a row: lane l adds the products of l, l + 32, ... by fma, then a
  /// butterfly.
  FATHOM_DEVICE static void score(const Simt& simt, const Params& p, const float* q, const float* block,
                                  int64_t n_valid, int64_t n_heads, Shared& shared) {
    const int64_t width = p.s.latent();
    for (int64_t j = simt.warp() * kTogether; j < n_valid; j += kRowWarps * kTogether) {
      const float* latents[kTogether];  // the last one stands for those behind it, which are not stored
      FATHOM_UNROLL
      for (int u = 0; u < kTogether; ++u) latents[u] = block + at_most(j + u, n_valid - 1) * width;
      float sums[kTogether][kHeadTile] = {};
      for (int64_t i = simt.lane(); i < width; i += kWarp) {
        float c[kTogether];
        FATHOM_UNROLL
        for (int u = 0; u < kTogether; ++u) c[u] = latents[u][i];
        FATHOM_UNROLL
        for (int h = 0; h < kHeadTile; ++h) {
          if (h >= n_heads) continue;
          const float head_q = q[h * width + i];
          FATHOM_UNROLL
          for (int u = 0; u < kTogether; ++u) sums[u][h] = fmaf(head_q, c[u], sums[u][h]);
        }
      }
      FATHOM_UNROLL
      for (int u = 0; u < kTogether; ++u) {
        FATHOM_UNROLL
        for (int h = 0; h < kHeadTile; ++h) {
          const float sum = simt.warp_reduce(sums[u][h], Sum());
          if (simt.lane() == 0 && j + u < n_valid) shared.scores[h][j + u] = sum * p.scale;
        }
      }
    }
  }

  FATHOM_DEVICE static void add_values(const Simt& simt, const Shape& s, const float* block, int64_t n_valid,
                                       const Shared& shared, float (&o)[kHeadTile][kColumns]) {
    FATHOM_UNROLL
    for (int h = 0; h < kHeadTile; ++h) {
      FATHOM_UNROLL
      for (int c = 0; c < kColumns; ++c) o[h][c] *= shared.factor[h];
    }
    int64_t j = 0;
    for (; j + kAhead <= n_valid; j += kAhead) {
      float values[kAhead][kColumns];
      FATHOM_UNROLL
      for (int i = 0; i < kAhead; ++i) read_columns(simt, s, block, j + i, values[i]);
      FATHOM_UNROLL
      for (int h = 0; h < kHeadTile; ++h) {
        const float* const scores = shared.scores[h] + j;
        const Weights weights = *reinterpret_cast<const Weights*>(scores);
        FATHOM_UNROLL
        for (int i = 0; i < kAhead; ++i) add_weighted(weights.of[i], values[i], o[h]);
      }
    }
    for (; j < n_valid; ++j) {
      float values[kColumns];
      read_columns(simt, s, block, j, values);
      FATHOM_UNROLL
      for (int h = 0; h < kHeadTile; ++h) add_weighted(shared.scores[h][j], values, o[h]);
    }
  }

  /// This thread's columns of a position's latent, zeros behind its end.
  FATHOM_DEVICE static void read_columns(const Simt& simt, const Shape& s, const float* block, int64_t j,
                                         float (&values)[kColumns]) {
    FATHOM_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      const int64_t column = simt.thread() + c * kThreads;
      values[c] = column < s.rank ? block[j * s.latent() + column] : 0.0f;
    }
  }

  FATHOM_DEVICE static void add_weighted(float weight, const float (&values)[kColumns],
                                         float (&o)[kColumns]) {
    FATHOM_UNROLL
    for (int c = 0; c < kColumns; ++c) o[c] = fmaf(weight, values[c], o[c]);
  }
};

/// Folds the splits in flight of one row and head into what came before, in ascending order.
struct FoldKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "mla_absorbed (fold)";
  struct Params {
    Shape s;
    const AttentionRun* runs;
    int64_t n_runs;
    int64_t n_rows;
    int64_t first_split;
    int64_t n_in_flight;
    AbsorbedScratch scratch;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t at = simt.block_x();  // row * H + head
    const int64_t n = n_splits(row_place(p.runs, p.n_runs, at / p.s.n_heads).position);
    const int64_t end = at_most(n, p.first_split + p.n_in_flight);
    if (p.first_split >= end) return;
    const SoftmaxState before = p.first_split == 0 ? SoftmaxState{-INFINITY, 0.0f} : p.scratch.states[at];
    SoftmaxState state = before;
    for (int64_t c = simt.thread(); c < p.s.rank; c += kThreads) {
      float& z = p.scratch.latents[at * p.s.rank + c];
      float o = p.first_split == 0 ? 0.0f : z;
      state = before;
      for (int64_t split = p.first_split; split < end; split += kAhead) {
        SoftmaxState states[kAhead] = {};
        float partials[kAhead] = {};
        FATHOM_UNROLL
        for (int i = 0; i < kAhead; ++i) {
          if (split + i >= end) continue;
          const int64_t partial = (split + i - p.first_split) * p.n_rows * p.s.n_heads + at;
          states[i] = p.scratch.partial_states[partial];
          partials[i] = p.scratch.partials[partial * p.s.rank + c];
        }
        FATHOM_UNROLL
        for (int i = 0; i < kAhead; ++i) {
          if (split + i < end) o = fold(state, states[i], o, partials[i]);
        }
      }
      z = end == n ? o / state.sum : o;
    }
    simt.barrier();                                        // all have read states[at]
    if (simt.thread() == 0) p.scratch.states[at] = state;  // rank >= 1: thread 0 has folded
  }

 private:
  FATHOM_DEVICE static float fold(SoftmaxState& state, const SoftmaxState& next, float o, float next_o) {
    const float max = fmaxf(state.max, next.max);
    const float keep = exp_of(state.max - max);
    const float take = exp_of(next.max - max);
    state.sum = fmaf(next.sum, take, state.sum * keep);
    state.max = max;
    return fmaf(next_o, take, o * keep);
  }
};

}  // namespace

void mla_absorbed(const Stream& stream, const Mla& args) {
  const int64_t n_rows = args.q.shape[0];
  if (n_rows == 0) return;
  const Shape s{args.shape.num_heads, args.shape.nope, args.shape.rope, args.shape.v, args.shape.rank};
  require(s.rank <= kMaxRank, "mla_absorbed takes latents of at most 1024 elements");
  cpu::ScratchCursor cursor(args.scratch);
  const AbsorbedScratch scratch = carve(cursor, args.shape, n_rows);
  const auto* runs = static_cast<const AttentionRun*>(args.runs.data);
  const int64_t n_runs = args.runs.shape[0];
  with_weight_type(args.kv_b.dtype, [&](const auto* typed) {
    using W = std::remove_cv_t<std::remove_pointer_t<decltype(typed)>>;
    using Kernel = AbsorbQueryKernel<W>;
    launch<Kernel>(
        stream,
        {.x = div_up(s.latent(), Kernel::kThreads), .y = div_up(n_rows, Kernel::kRows), .z = s.n_heads}, 0,
        {s, static_cast<const float*>(args.q.data), static_cast<const W*>(args.kv_b.data), scratch.queries,
         n_rows});
  });
  const int64_t table_width = args.block_table.shape[1];
  const int64_t most_splits = div_up(table_width, kSplitPlaces);
  const int64_t in_flight = at_most(most_splits, n_partials(n_rows) / n_rows);
  for (int64_t split = 0; split < most_splits; split += in_flight) {
    const auto launch_splits = [&]<int kColumns>() {
      using Kernel = SplitKernel<kColumns>;
      launch<Kernel>(stream, {.x = n_rows * div_up(s.n_heads, kHeadTile), .y = in_flight},
                     Kernel::shared_bytes(s),
                     {s, scratch.queries, static_cast<const float*>(args.cache.data),
                      static_cast<const int32_t*>(args.block_table.data), table_width, runs, n_runs,
                      args.scale, n_rows, split, scratch.partials, scratch.partial_states});
    };
    if (s.rank <= 2 * kRowThreads) {
      launch_splits.template operator()<2>();
    } else {
      launch_splits.template operator()<kMaxRank / kRowThreads>();
    }
    launch<FoldKernel>(stream, {.x = n_rows * s.n_heads}, 0,
                       {s, runs, n_runs, n_rows, split, in_flight, scratch});
  }
  const size_t w_uv = static_cast<size_t>(s.nope * s.rank) * dtype_bytes(args.kv_b.dtype);
  multiply(stream, {.x = scratch.latents,
                    .x_stride = s.n_heads * s.rank,
                    .x_group = s.rank,
                    .dtype = args.kv_b.dtype,
                    .weight = static_cast<const char*>(args.kv_b.data) + w_uv,
                    .weight_group = (s.nope + s.v) * s.rank,
                    .out = static_cast<float*>(args.out.data),
                    .out_stride = s.n_heads * s.v,
                    .out_group = s.v,
                    .k = s.rank,
                    .n_cols = s.v,
                    .n_groups = s.n_heads,
                    .n_rows = n_rows});
}

size_t mla_absorbed_scratch_bytes(const MlaShape& shape, int64_t max_rows) {
  cpu::ScratchCursor cursor;
  carve(cursor, shape, max_rows);
  return cursor.used();
}

}  // namespace fathom::kernels::cuda
