// The order of work of mla_expanded: which blocks make the next wave, and which tiles of rows there are.
#pragma once

#include <cstdint>

#include "kernels/cpu/row_state.h"
#include "kernels/cpu/scratch.h"
#include "kernels/kernels.h"

namespace fathom::kernels::cpu {

/// A cache block to expand: its id, its place in every sequence that has it (position / 64), and how many of
/// its positions the batch sees.
struct WaveBlock {
  int32_t id = 0;
  int32_t place = 0;
  int32_t n_tokens = 0;
};

/// Consecutive rows of one run, at most kTileRows.
struct RowTile {
  int64_t row = 0;
  int64_t n_rows = 0;
  int64_t position = 0;  // of the first row
  int64_t sequence = 0;
};

class ExpandedPlan {
 public:
  static constexpr int64_t kWaveBlocks = 8;
  static constexpr int64_t kTileRows = 48;

  static size_t scratch_bytes(const MlaShape& shape, int64_t max_rows, int64_t max_runs);

  /// Cuts the runs into tiles. FATHOM_CHECKs that runs, sequences and block ids are in range.
  explicit ExpandedPlan(const Mla& args);

  /// Fills `wave` with the next distinct blocks in ascending place; false when all have been.
  bool next_wave();

  bool belongs(const RowTile& tile, const WaveBlock& block) const {
    return tile.position + tile.n_rows > block.place * kBlockTokens &&
           block_id(tile.sequence, block.place) == block.id;
  }

  float* keys(int64_t slot, int64_t head) const {
    return keys_ + (slot * shape_.num_heads + head) * shape_.nope * kBlockTokens;
  }
  float* values(int64_t slot, int64_t head) const {
    return values_ + (slot * shape_.num_heads + head) * shape_.v * kBlockTokens;
  }
  float* rope_keys(int64_t slot) const { return rope_keys_ + slot * shape_.rope * kBlockTokens; }

  WaveBlock* wave = nullptr;  // [n_wave]
  int64_t n_wave = 0;
  RowTile* tiles = nullptr;  // [n_tiles]
  int64_t n_tiles = 0;
  RowState* states = nullptr;  // [T, H]

 private:
  void carve(ScratchCursor& cursor, const MlaShape& shape, int64_t max_rows, int64_t max_runs);
  /// The distinct blocks at place_ into at_place_, ascending by id.
  void collect_place();

  int32_t block_id(int64_t sequence, int64_t place) const {
    return block_table_[sequence * table_width_ + place];
  }

  MlaShape shape_;
  const int32_t* block_table_ = nullptr;
  int64_t table_width_ = 0;
  const AttentionRun* runs_ = nullptr;
  int64_t n_runs_ = 0;

  float* keys_ = nullptr;
  float* values_ = nullptr;
  float* rope_keys_ = nullptr;
  WaveBlock* at_place_ = nullptr;  // [n_at_place_]
  int64_t n_at_place_ = 0;
  int64_t next_at_place_ = 0;
  int64_t place_ = -1;

  ExpandedPlan() = default;
};

}  // namespace fathom::kernels::cpu
