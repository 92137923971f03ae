// Index arithmetic of the kernels: pages, splits, segments, tiles, runs. Pure functions for host and device,
// unit-tested on the CPU (tests/kernels/cuda/index_test.cc). Everything that decides an order of additions is
// here, and none of it looks at how many rows a batch has.
#pragma once

#include <cstdint>

#include "kernels/cuda/simt.h"
#include "kernels/kernels.h"

namespace fathom::kernels::cuda {

FATHOM_HD inline int64_t div_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
FATHOM_HD inline int64_t at_most(int64_t a, int64_t b) {
  return a < b ? a : b;
}
FATHOM_HD inline int64_t at_least(int64_t a, int64_t b) {
  return a > b ? a : b;
}

// --- Products: the sum over K is cut into kSegments segments of equal length, each added by fma in ascending
// k; then the segments' sums are added in ascending order.

inline constexpr int64_t kSegments = 8;

/// A multiple of 32; the last segments may be short or empty.
FATHOM_HD inline int64_t segment_length(int64_t k) {
  return div_up(div_up(k, kSegments), 32) * 32;
}
FATHOM_HD inline int64_t segment_begin(int64_t k, int64_t segment) {
  return at_most(k, segment * segment_length(k));
}

// --- The paged cache

/// Row of the cache, counted over all blocks, that holds a position of the sequence whose blocks `table`
/// lists.
FATHOM_HD inline int64_t cache_row(const int32_t* table, int64_t position) {
  return static_cast<int64_t>(table[position / kBlockTokens]) * kBlockTokens + position % kBlockTokens;
}

/// How many positions of the block at `place` the position itself sees: 0 .. 64.
FATHOM_HD inline int64_t n_seen(int64_t position, int64_t place) {
  return at_least(0, at_most(kBlockTokens, position + 1 - place * kBlockTokens));
}

/// Where a row of a batch stands.
struct RowPlace {
  int32_t position;
  int32_t sequence;  // -1: no run has the row
};

FATHOM_HD inline RowPlace row_place(const AttentionRun* runs, int64_t n_runs, int64_t row) {
  for (int64_t i = 0; i < n_runs; ++i) {
    const int64_t at = row - runs[i].first_row;
    if (at >= 0 && at < runs[i].n_rows)
      return {static_cast<int32_t>(runs[i].first_position + at), runs[i].sequence};
  }
  return {-1, -1};
}

// --- Absorbed attention: a row's sequence is cut at multiples of kSplitTokens from position 0.

inline constexpr int64_t kSplitTokens = 128;
inline constexpr int64_t kSplitPlaces = kSplitTokens / kBlockTokens;

FATHOM_HD inline int64_t n_splits(int64_t position) {
  return position / kSplitTokens + 1;
}

// --- Expanded attention: tiles of rows, and windows of places whose blocks are expanded together.

inline constexpr int64_t kTileRows = 32;

/// Consecutive rows of one run, at most kTileRows.
struct RowTile {
  int64_t run;
  int64_t first_row;
  int64_t n_rows;
  int64_t first_position;
};

/// The i-th tile of the batch, which cuts each run from its first row; n_rows is 0 behind the last.
FATHOM_HD inline RowTile row_tile(const AttentionRun* runs, int64_t n_runs, int64_t i) {
  for (int64_t run = 0; run < n_runs; ++run) {
    const int64_t n_tiles = div_up(runs[run].n_rows, kTileRows);
    if (i < n_tiles) {
      const int64_t begin = i * kTileRows;
      return {run, runs[run].first_row + begin, at_most(kTileRows, runs[run].n_rows - begin),
              runs[run].first_position + begin};
    }
    i -= n_tiles;
  }
  return {0, 0, 0, 0};
}
/// No batch has more.
FATHOM_HD inline int64_t max_row_tiles(int64_t n_rows, int64_t n_runs) {
  return n_rows / kTileRows + n_runs;
}

/// What becomes of the block that `run` has at `place`: runs with the same block there share one expansion,
/// which belongs to the first of them and holds as many positions as any of them sees.
struct Expansion {
  int64_t owner;     // run; -1: `run` does not reach the place
  int64_t n_tokens;  // of the block, that any run sees
  int32_t block;
};

FATHOM_HD inline Expansion expansion(const AttentionRun* runs, int64_t n_runs, const int32_t* block_table,
                                     int64_t table_width, int64_t run, int64_t place) {
  const auto seen = [&](int64_t i) {
    return runs[i].n_rows == 0 ? 0 : n_seen(runs[i].first_position + runs[i].n_rows - 1, place);
  };
  Expansion result{-1, seen(run), -1};
  if (result.n_tokens == 0) return result;
  result.block = block_table[runs[run].sequence * table_width + place];
  for (int64_t i = 0; i < n_runs; ++i) {
    const int64_t n = seen(i);
    if (n == 0 || block_table[runs[i].sequence * table_width + place] != result.block) continue;
    if (result.owner < 0) result.owner = i;
    result.n_tokens = at_least(result.n_tokens, n);
  }
  return result;
}

// --- Experts: (row, slot) pairs of non-zero weight sorted by expert, then row; tiles never cross an expert.

/// Rows of a product that share a weight.
struct ProductTile {
  int32_t group;
  int32_t first_row;
  int32_t n_rows;
};

/// The i-th of the div_up(n, height) tiles over the n pairs of a group that begin at `first`.
FATHOM_HD inline ProductTile tile_of_group(int64_t group, int64_t first, int64_t n, int64_t height,
                                           int64_t i) {
  return {static_cast<int32_t>(group), static_cast<int32_t>(first + i * height),
          static_cast<int32_t>(at_most(height, n - i * height))};
}
/// No list has more.
FATHOM_HD inline int64_t max_tiles(int64_t n_pairs, int64_t n_experts, int64_t height) {
  return n_pairs / height + at_most(n_pairs, n_experts);
}

// --- Draws

/// The finaliser of splitmix64.
FATHOM_HD inline uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// Uniform in [0, 1), 53 bits, from (seed, position): the CPU's draw.
FATHOM_HD inline double uniform(uint64_t seed, int64_t position) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  const uint64_t bits = mix(mix(seed + kGolden) + (static_cast<uint64_t>(position) + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

}  // namespace fathom::kernels::cuda
