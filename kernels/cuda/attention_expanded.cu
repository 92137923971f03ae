// mla_expanded: keys and values of every head are expanded from the latent blocks, a window of places at a
// time.
//
// For each window: plan (which run's expansion of a block serves all that share it), expand (one product with
// kv_b for all heads), attend (a tile of rows of one run and head walks the window's blocks). The running
// maximum, sum and weighted values of a row stay in memory between windows, so a row walks its sequence from
// position 0 whatever the width of the window, the tile it is in, and what else the batch holds.
#include "kernels/cpu/scratch.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/product.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/softmax.h"

namespace fathom::kernels::cuda {
namespace {

/// Blocks that are expanded at a time: 64 MiB of fp32 for V2-Lite.
constexpr int64_t kMinSlots = 64;

struct ExpandedScratch {
  SoftmaxState* states;  // [T, H]
  int32_t* slot_of;    // [runs, window]: where the run's block at that place is expanded; -1: the run is past
                       // its end
  int32_t* block_of;   // [slots]
  int32_t* tokens_of;  // [slots]: positions that are expanded; 0: nothing
  float* expanded;     // [slots, 64, H (dn + dv)]
};

int64_t n_slots(int64_t max_runs) {
  return at_least(max_runs, kMinSlots);
}

ExpandedScratch carve(cpu::ScratchCursor& cursor, const MlaShape& s, int64_t max_rows, int64_t max_runs) {
  const int64_t slots = n_slots(max_runs);
  return {cursor.take<SoftmaxState>(max_rows * s.num_heads), cursor.take<int32_t>(slots),
          cursor.take<int32_t>(slots), cursor.take<int32_t>(slots),
          cursor.take<float>(slots * kBlockTokens * s.num_heads * (s.nope + s.v))};
}

struct Batch {
  const AttentionRun* runs;
  int64_t n_runs;
  const int32_t* block_table;
  int64_t table_width;
};

/// Slot r * window + w is for run r's block at place first_place + w, if it is the run's to expand.
struct PlanKernel {
  static constexpr int kThreads = 256;
  static constexpr const char* kName = "mla_expanded (plan)";
  struct Params {
    Batch batch;
    int64_t first_place;
    int64_t window;
    ExpandedScratch scratch;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const Batch& b = p.batch;
    for (int64_t i = simt.thread(); i < b.n_runs * p.window; i += kThreads) {
      const int64_t run = i / p.window;
      const int64_t place = p.first_place + i % p.window;
      const Expansion e = expansion(b.runs, b.n_runs, b.block_table, b.table_width, run, place);
      p.scratch.slot_of[i] = e.owner < 0 ? -1 : static_cast<int32_t>(e.owner * p.window + i % p.window);
      p.scratch.block_of[i] = e.owner == run ? e.block : 0;
      p.scratch.tokens_of[i] = e.owner == run ? static_cast<int32_t>(e.n_tokens) : 0;
    }
  }
};

struct Shape {
  int64_t n_heads, nope, rope, v, rank;
  FATHOM_HD int64_t qk() const { return nope + rope; }
  FATHOM_HD int64_t latent() const { return rank + rope; }
};

/// A tile of rows of one run, one head: all blocks of a window.
struct AttendKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "mla_expanded (attend)";
  static constexpr int kDepth = kWarp;  // of the head dimension at a time: a lane each when it is brought in
  static constexpr int kRowsPerWarp = kTileRows / kRowWarps;
  static constexpr int kKeysPerLane = kBlockTokens / kWarp;
  static constexpr int kKeysPerWarp = kBlockTokens / kRowWarps;
  static constexpr int kColumns = 4;  // of the values, for each lane at a time
  struct Params {
    Shape s;
    Batch batch;
    const float* q;
    const float* cache;
    float scale;
    int64_t first_place;
    int64_t window;
    ExpandedScratch scratch;
    float* out;
  };
  struct alignas(16) Four {
    float of[4];
  };
  /// Rows are padded so that 8 lanes that read 16 bytes of as many rows meet in no bank.
  struct alignas(16) Shared {
    float q[kTileRows][kDepth + 4];
    float keys[kBlockTokens][kDepth + 4];
    float scores[kTileRows][kBlockTokens + 4];
    float factor[kTileRows];
    SoftmaxState states[kTileRows];
  };

  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    auto& shared = *simt.shared<Shared>();
    const RowTile tile = row_tile(p.batch.runs, p.batch.n_runs, simt.block_x());
    const int64_t head = simt.block_y();
    const int64_t last_position = tile.first_position + tile.n_rows - 1;
    if (tile.n_rows == 0 || last_position < p.first_place * kBlockTokens) return;
    for (int64_t i = simt.thread(); i < tile.n_rows; i += kThreads) {
      shared.states[i] = p.first_place == 0 ? SoftmaxState{-INFINITY, 0.0f}
                                            : p.scratch.states[(tile.first_row + i) * p.s.n_heads + head];
    }
    simt.barrier();
    for (int64_t w = 0; w < p.window && last_position >= (p.first_place + w) * kBlockTokens; ++w) {
      const int64_t slot = p.scratch.slot_of[tile.run * p.window + w];
      score(simt, p, tile, head, slot, shared);
      weigh(simt, p, tile, p.first_place + w, shared);
      add_values(simt, p, tile, head, slot, p.first_place + w, shared);
    }
    for (int64_t i = simt.thread(); i < tile.n_rows; i += kThreads) {
      p.scratch.states[(tile.first_row + i) * p.s.n_heads + head] = shared.states[i];
    }
  }

 private:
  FATHOM_DEVICE static Four four(const float* from) { return *reinterpret_cast<const Four*>(from); }

  /// What this thread brings in of a slice of the head dimension: its lane's element of some rows and keys.
  struct Slice {
    float q[kRowsPerWarp];
    float keys[kKeysPerWarp];
  };
  FATHOM_DEVICE static void read_slice(const Simt& simt, const Params& p, const RowTile& tile, int64_t head,
                                       int64_t slot, int64_t begin, Slice& to) {
    const Shape& s = p.s;
    const int64_t d = begin + simt.lane();
    if (d >= s.qk()) return;
    const float* q = p.q + (tile.first_row * s.n_heads + head) * s.qk() + d;
    FATHOM_UNROLL
    for (int i = 0; i < kRowsPerWarp; ++i) {
      const int64_t row = simt.warp() * kRowsPerWarp + i;
      if (row < tile.n_rows) to.q[i] = q[row * s.n_heads * s.qk()];
    }
    // The first part of a key is expanded, the rotary part is the cache's own.
    const int64_t width = s.nope + s.v;
    const bool expanded = d < s.nope;
    const float* key =
        expanded ? p.scratch.expanded + (slot * kBlockTokens * s.n_heads + head) * width + d
                 : p.cache + p.scratch.block_of[slot] * kBlockTokens * s.latent() + s.rank + d - s.nope;
    const int64_t stride = expanded ? s.n_heads * width : s.latent();
    const int64_t n_tokens = p.scratch.tokens_of[slot];
    FATHOM_UNROLL
    for (int i = 0; i < kKeysPerWarp; ++i) {
      const int64_t j = simt.warp() + i * kRowWarps;
      if (j < n_tokens) to.keys[i] = key[j * stride];
    }
  }
  FATHOM_DEVICE static void share_slice(const Simt& simt, const Slice& slice, Shared& shared) {
    FATHOM_UNROLL
    for (int i = 0; i < kRowsPerWarp; ++i) shared.q[simt.warp() * kRowsPerWarp + i][simt.lane()] = slice.q[i];
    FATHOM_UNROLL
    for (int i = 0; i < kKeysPerWarp; ++i)
      shared.keys[simt.warp() + i * kRowWarps][simt.lane()] = slice.keys[i];
  }

  /// scores = scale * q . key for all rows and expanded positions, by fma in ascending dn + dr. A warp has
  /// kRowsPerWarp rows, a lane every 32nd key.
  FATHOM_DEVICE static void score(const Simt& simt, const Params& p, const RowTile& tile, int64_t head,
                                  int64_t slot, Shared& shared) {
    const int first = simt.warp() * kRowsPerWarp;
    float sums[kRowsPerWarp][kKeysPerLane] = {};
    Slice slice = {};  // the next one, on its way while this one is multiplied
    read_slice(simt, p, tile, head, slot, 0, slice);
    for (int64_t begin = 0; begin < p.s.qk(); begin += kDepth) {
      share_slice(simt, slice, shared);
      simt.barrier();
      read_slice(simt, p, tile, head, slot, begin + kDepth, slice);
      const int64_t depth = at_most(kDepth, p.s.qk() - begin);
      int64_t d = 0;
      for (; d + 4 <= depth; d += 4) {
        Four q[kRowsPerWarp], keys[kKeysPerLane];
        FATHOM_UNROLL
        for (int r = 0; r < kRowsPerWarp; ++r) q[r] = four(shared.q[first + r] + d);
        FATHOM_UNROLL
        for (int c = 0; c < kKeysPerLane; ++c) keys[c] = four(shared.keys[simt.lane() + c * kWarp] + d);
        FATHOM_UNROLL
        for (int i = 0; i < 4; ++i) {
          FATHOM_UNROLL
          for (int r = 0; r < kRowsPerWarp; ++r) {
            FATHOM_UNROLL
            for (int c = 0; c < kKeysPerLane; ++c) sums[r][c] = fmaf(q[r].of[i], keys[c].of[i], sums[r][c]);
          }
        }
      }
      for (; d < depth; ++d) {
        for (int r = 0; r < kRowsPerWarp; ++r) {
          for (int c = 0; c < kKeysPerLane; ++c)
            sums[r][c] = fmaf(shared.q[first + r][d], shared.keys[simt.lane() + c * kWarp][d], sums[r][c]);
        }
      }
      simt.barrier();
    }
    FATHOM_UNROLL
    for (int r = 0; r < kRowsPerWarp; ++r) {
      FATHOM_UNROLL
      for (int c = 0; c < kKeysPerLane; ++c)
        shared.scores[first + r][simt.lane() + c * kWarp] = sums[r][c] * p.scale;
    }
    simt.barrier();
  }

  /// Scores to weights and the rows' states on; what a row does not see is left alone.
  FATHOM_DEVICE static void weigh(const Simt& simt, const Params&, const RowTile& tile, int64_t place,
                                  Shared& shared) {
    for (int i = 0; i < kRowsPerWarp; ++i) {
      const int row = simt.warp() * kRowsPerWarp + i;
      if (row >= tile.n_rows) break;
      const int64_t n_valid = n_seen(tile.first_position + row, place);
      if (n_valid == 0) continue;  // done with an earlier block
      SoftmaxState state = shared.states[row];
      const float factor = softmax_block(simt, shared.scores[row], n_valid, state);
      simt.warp_barrier();  // all lanes have read the row's state
      if (simt.lane() != 0) continue;
      shared.factor[row] = factor;
      shared.states[row] = state;
    }
    simt.barrier();
  }

  /// out = out * factor + sum_j weight_j value_j by fma in ascending position; divided by the sum after a
  /// row's last block. A warp has kRowsPerWarp rows, a lane
  /// every 32nd column.
  FATHOM_DEVICE static void add_values(const Simt& simt, const Params& p, const RowTile& tile, int64_t head,
                                       int64_t slot, int64_t place, Shared& shared) {
    const Shape& s = p.s;
    const int first = simt.warp() * kRowsPerWarp;
    const int64_t width = s.nope + s.v;
    const float* values = p.scratch.expanded + (slot * kBlockTokens * s.n_heads + head) * width + s.nope;
    int64_t n_valid[kRowsPerWarp];
    int64_t least = kBlockTokens, most = 0;  // of the rows that see any of the block
    FATHOM_UNROLL
    for (int r = 0; r < kRowsPerWarp; ++r) {
      n_valid[r] = first + r < tile.n_rows ? n_seen(tile.first_position + first + r, place) : 0;
      if (n_valid[r] > 0) least = at_most(least, n_valid[r]);
      most = at_least(most, n_valid[r]);
    }
    if (most == 0) least = 0;
    const int64_t stride = s.n_heads * width;
    for (int64_t column = simt.lane(); column < s.v; column += kWarp * kColumns) {
      const auto there = [&](int c) { return column + c * kWarp < s.v; };
      float o[kRowsPerWarp][kColumns] = {};
      FATHOM_UNROLL
      for (int r = 0; r < kRowsPerWarp; ++r) {
        if (n_valid[r] == 0 || place == 0) continue;
        FATHOM_UNROLL
        for (int c = 0; c < kColumns; ++c) {
          if (there(c))
            o[r][c] = *out(p, tile, first + r, head, column + c * kWarp) * shared.factor[first + r];
        }
      }
      int64_t j = 0;
      for (; j + 4 <= least; j += 4) {
        // Rows that see nothing of the block are added up too, and left where they are.
        float v[4][kColumns] = {};
        FATHOM_UNROLL
        for (int i = 0; i < 4; ++i) {
          FATHOM_UNROLL
          for (int c = 0; c < kColumns; ++c) {
            if (there(c)) v[i][c] = values[(j + i) * stride + column + c * kWarp];
          }
        }
        FATHOM_UNROLL
        for (int r = 0; r < kRowsPerWarp; ++r) {
          const Four weights = four(shared.scores[first + r] + j);
          FATHOM_UNROLL
          for (int i = 0; i < 4; ++i) {
            FATHOM_UNROLL
            for (int c = 0; c < kColumns; ++c) o[r][c] = fmaf(weights.of[i], v[i][c], o[r][c]);
          }
        }
      }
      for (; j < most; ++j) {
        FATHOM_UNROLL
        for (int c = 0; c < kColumns; ++c) {
          if (!there(c)) continue;
          const float value = values[j * stride + column + c * kWarp];
          FATHOM_UNROLL
          for (int r = 0; r < kRowsPerWarp; ++r) {
            if (j < n_valid[r]) o[r][c] = fmaf(shared.scores[first + r][j], value, o[r][c]);
          }
        }
      }
      FATHOM_UNROLL
      for (int r = 0; r < kRowsPerWarp; ++r) {
        if (n_valid[r] == 0) continue;
        const bool is_last = tile.first_position + first + r < (place + 1) * kBlockTokens;
        FATHOM_UNROLL
        for (int c = 0; c < kColumns; ++c) {
          if (!there(c)) continue;
          *out(p, tile, first + r, head, column + c * kWarp) =
              is_last ? o[r][c] / shared.states[first + r].sum : o[r][c];
        }
      }
    }
    simt.barrier();
  }

  FATHOM_DEVICE static float* out(const Params& p, const RowTile& tile, int64_t row, int64_t head,
                                  int64_t column) {
    return p.out + ((tile.first_row + row) * p.s.n_heads + head) * p.s.v + column;
  }
};

}  // namespace

void mla_expanded(const Stream& stream, const Mla& args) {
  const int64_t n_rows = args.q.shape[0];
  if (n_rows == 0) return;
  const Shape s{args.shape.num_heads, args.shape.nope, args.shape.rope, args.shape.v, args.shape.rank};
  const int64_t n_runs = args.runs.shape[0];
  cpu::ScratchCursor cursor(args.scratch);
  const ExpandedScratch scratch = carve(cursor, args.shape, n_rows, n_runs);
  const Batch batch{static_cast<const AttentionRun*>(args.runs.data), n_runs,
                    static_cast<const int32_t*>(args.block_table.data), args.block_table.shape[1]};
  const auto* cache = static_cast<const float*>(args.cache.data);
  const int64_t window = at_most(batch.table_width, n_slots(n_runs) / n_runs);
  const int64_t width = s.n_heads * (s.nope + s.v);
  for (int64_t place = 0; place < batch.table_width; place += window) {
    // The last window may reach beyond the table: no run has positions there.
    launch<PlanKernel>(stream, {}, 0, {batch, place, window, scratch});
    multiply(stream, {.x = cache,
                      .x_stride = s.latent(),
                      .x_group = kBlockTokens * s.latent(),
                      .x_groups = scratch.block_of,
                      .dtype = args.kv_b.dtype,
                      .weight = args.kv_b.data,
                      .out = scratch.expanded,
                      .out_stride = width,
                      .out_group = kBlockTokens * width,
                      .k = s.rank,
                      .n_cols = width,
                      .n_groups = n_runs * window,
                      .n_rows = kBlockTokens,
                      .group_rows = scratch.tokens_of});
    launch<AttendKernel>(stream, {.x = max_row_tiles(n_rows, n_runs), .y = s.n_heads},
                         sizeof(AttendKernel::Shared),
                         {s, batch, static_cast<const float*>(args.q.data), cache, args.scale, place, window,
                          scratch, static_cast<float*>(args.out.data)});
  }
}

size_t mla_expanded_scratch_bytes(const MlaShape& shape, int64_t max_rows, int64_t max_runs) {
  cpu::ScratchCursor cursor;
  carve(cursor, shape, max_rows, max_runs);
  return cursor.used();
}

}  // namespace fathom::kernels::cuda
