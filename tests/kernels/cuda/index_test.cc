// The index arithmetic of the CUDA kernels, on the CPU.
#include "kernels/cuda/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/kernels/arrays.h"

namespace fathom::kernels::cuda {
namespace {

TEST(CudaIndex, SegmentsCoverKOnceInOrderAndBeginAtMultiplesOf32) {
  for (int64_t k = 0; k < 3000; ++k) {
    EXPECT_EQ(segment_begin(k, 0), 0);
    EXPECT_EQ(segment_begin(k, kSegments), k);
    for (int64_t s = 0; s < kSegments; ++s) {
      EXPECT_LE(segment_begin(k, s), segment_begin(k, s + 1));
      EXPECT_TRUE(segment_begin(k, s) % 32 == 0 || segment_begin(k, s) == k) << k;
    }
  }
  EXPECT_EQ(segment_length(2048), 256);
  EXPECT_EQ(segment_length(1), 32);
}

TEST(CudaIndex, ACacheRowIsThePagesBlockAndThePlaceInIt) {
  const std::vector<int32_t> table = {7, 3, 12};
  EXPECT_EQ(cache_row(table.data(), 0), 7 * 64);
  EXPECT_EQ(cache_row(table.data(), 63), 7 * 64 + 63);
  EXPECT_EQ(cache_row(table.data(), 64), 3 * 64);
  EXPECT_EQ(cache_row(table.data(), 130), 12 * 64 + 2);
}

TEST(CudaIndex, APositionSeesAllEarlierPositionsAndItself) {
  for (int64_t position : {0, 1, 62, 63, 64, 65, 127, 128, 1000}) {
    int64_t seen = 0;
    for (int64_t place = 0; place < 20; ++place) seen += n_seen(position, place);
    EXPECT_EQ(seen, position + 1);
  }
  EXPECT_EQ(n_seen(70, 1), 7);
  EXPECT_EQ(n_seen(70, 2), 0);
}

TEST(CudaIndex, SplitsAreCutAtMultiplesOfTheirLengthFromPositionZero) {
  EXPECT_EQ(n_splits(0), 1);
  EXPECT_EQ(n_splits(kSplitTokens - 1), 1);
  EXPECT_EQ(n_splits(kSplitTokens), 2);
  EXPECT_EQ(kSplitPlaces * kBlockTokens, kSplitTokens);
}

/// Ragged runs, one of them empty.
std::vector<AttentionRun> ragged_runs() {
  std::vector<AttentionRun> runs;
  int32_t row = 0;
  for (const auto& [n, first] : {std::pair<int32_t, int32_t>{1, 0}, {70, 5}, {0, 3}, {32, 64}, {33, 1000}}) {
    runs.push_back({row, n, first, static_cast<int32_t>(runs.size())});
    row += n;
  }
  return runs;
}

TEST(CudaIndex, EveryRowHasItsRunsPositionAndRowsOfNoRunHaveNone) {
  const std::vector<AttentionRun> runs = ragged_runs();
  for (const AttentionRun& run : runs) {
    for (int32_t i = 0; i < run.n_rows; ++i) {
      const RowPlace place = row_place(runs.data(), std::ssize(runs), run.first_row + i);
      EXPECT_EQ(place.position, run.first_position + i);
      EXPECT_EQ(place.sequence, run.sequence);
    }
  }
  EXPECT_EQ(row_place(runs.data(), std::ssize(runs), 136).sequence, -1);
  EXPECT_EQ(row_place(runs.data(), std::ssize(runs), -1).sequence, -1);
}

TEST(CudaIndex, RowTilesCoverEveryRowOnceAndNeverCrossARun) {
  const std::vector<AttentionRun> runs = ragged_runs();
  const int64_t n_rows = runs.back().first_row + runs.back().n_rows;
  std::vector<int> covered(static_cast<size_t>(n_rows));
  for (int64_t i = 0; i < max_row_tiles(n_rows, std::ssize(runs)); ++i) {
    const RowTile tile = row_tile(runs.data(), std::ssize(runs), i);
    EXPECT_LE(tile.n_rows, kTileRows);
    const AttentionRun& run = runs[static_cast<size_t>(tile.run)];
    for (int64_t r = 0; r < tile.n_rows; ++r) {
      const int64_t row = tile.first_row + r;
      ++covered[static_cast<size_t>(row)];
      EXPECT_GE(row, run.first_row);
      EXPECT_LT(row, run.first_row + run.n_rows);
      EXPECT_EQ(tile.first_position + r, run.first_position + row - run.first_row);
    }
  }
  EXPECT_TRUE(std::all_of(covered.begin(), covered.end(), [](int n) { return n == 1; }));
}

TEST(CudaIndex, NoBatchHasMoreTilesThanTheBound) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<AttentionRun> runs;
    int32_t row = 0;
    for (int64_t n = random.integer(1, 9); n > 0; --n) {
      const auto n_rows = static_cast<int32_t>(random.integer(0, 100));
      runs.push_back({row, n_rows, 0, 0});
      row += n_rows;
    }
    EXPECT_EQ(row_tile(runs.data(), std::ssize(runs), max_row_tiles(row, std::ssize(runs))).n_rows, 0);

    const int64_t n_experts = random.integer(1, 20);
    std::vector<int32_t> offsets = {0};
    for (int64_t e = 0; e < n_experts; ++e) {
      const auto n = static_cast<int32_t>(random.integer(0, 1) * random.integer(0, 90));
      offsets.push_back(offsets.back() + n);
    }
    for (int64_t height : {8, 64}) {
      std::vector<ProductTile> tiles;
      for (int64_t e = 0; e < n_experts; ++e) {
        const int64_t first = offsets[static_cast<size_t>(e)];
        const int64_t n_pairs = offsets[static_cast<size_t>(e) + 1] - first;
        for (int64_t i = 0; i < div_up(n_pairs, height); ++i)
          tiles.push_back(tile_of_group(e, first, n_pairs, height, i));
      }
      const int64_t n = std::ssize(tiles);
      EXPECT_LE(n, max_tiles(offsets.back(), n_experts, height));
      int32_t next = 0;
      for (int64_t i = 0; i < n; ++i) {
        const ProductTile& tile = tiles[static_cast<size_t>(i)];
        EXPECT_EQ(tile.first_row, next);
        EXPECT_GE(tile.first_row, offsets[static_cast<size_t>(tile.group)]);
        next += tile.n_rows;
        EXPECT_LE(next, offsets[static_cast<size_t>(tile.group) + 1]);
        EXPECT_TRUE(tile.n_rows > 0 && tile.n_rows <= height);
      }
      EXPECT_EQ(next, offsets.back());
    }
  }
}

TEST(CudaIndex, ASharedBlockIsExpandedOnceAsFarAsAnyRunSees) {
  // Runs 0, 2 and 3 share block 5 at place 0; at place 1 runs 2 and 3 share block 9; run 1 has its own.
  const std::vector<int32_t> table = {5, 8, 4, 6, 5, 9, 5, 9};
  const std::vector<AttentionRun> runs = {{0, 3, 10, 0}, {3, 80, 0, 1}, {83, 2, 70, 2}, {85, 30, 64, 3}};
  const auto at = [&](int64_t run, int64_t place) {
    return expansion(runs.data(), std::ssize(runs), table.data(), 2, run, place);
  };
  for (int64_t run : {0, 2, 3}) {
    EXPECT_EQ(at(run, 0).owner, 0);
    EXPECT_EQ(at(run, 0).n_tokens, 64);
    EXPECT_EQ(at(run, 0).block, 5);
  }
  EXPECT_EQ(at(1, 0).owner, 1);
  EXPECT_EQ(at(1, 1).n_tokens, 16);
  EXPECT_EQ(at(0, 1).owner, -1);  // its last position is 12
  EXPECT_EQ(at(0, 1).n_tokens, 0);
  EXPECT_EQ(at(2, 1).owner, 2);
  EXPECT_EQ(at(3, 1).owner, 2);
  EXPECT_EQ(at(2, 1).n_tokens, 30);  // run 3 sees 64 .. 93
}

TEST(CudaIndex, UniformDrawsFillTheUnitInterval) {
  double sum = 0.0;
  std::set<double> distinct;
  for (int64_t position = 0; position < 10000; ++position) {
    const double draw = uniform(42, position);
    EXPECT_TRUE(draw >= 0.0 && draw < 1.0);
    sum += draw;
    distinct.insert(draw);
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
  EXPECT_EQ(distinct.size(), 10000u);
}

}  // namespace
}  // namespace fathom::kernels::cuda
