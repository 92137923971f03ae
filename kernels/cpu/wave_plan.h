// The order of work of both attention forms: which cache blocks make the next wave, and which tiles of rows
// there are.
//
// The distinct blocks that the batch's sequences refer to are walked in ascending place (position / 64), a
// wave of a few blocks at a time. What is made of a block (numbers unpacked from a narrow format, keys and
// values) is made once, for all rows and sequences that share it; then every row takes its own blocks of the
// wave. So each row walks its sequence from position 0, and what else a wave holds does not matter to it.
#pragma once

#include <cstdint>

#include "kernels/cpu/row_state.h"
#include "kernels/cpu/scratch.h"
#include "kernels/kernels.h"

namespace fathom::kernels::cpu {

/// A cache block of a wave: its id, its place in every sequence that has it (position / 64), and how many of
/// its positions the batch sees.
struct WaveBlock {
  int32_t id = 0;
  int32_t place = 0;
  int32_t n_tokens = 0;

  int64_t start() const { return place * kBlockTokens; }
};

/// Consecutive rows of one run.
struct RowTile {
  int64_t row = 0;
  int64_t n_rows = 0;
  int64_t position = 0;  // of the first row
  int64_t sequence = 0;
};

/// How large waves and tiles are: by speed alone.
struct WaveLimits {
  int64_t n_blocks = 8;
  int64_t tile_rows = 48;
};

class WavePlan {
 public:
  /// Cuts the runs into tiles, with arrays out of `cursor`. FATHOM_CHECKs that runs, sequences and block ids
  /// are in range.
  WavePlan(const Mla& args, const WaveLimits& limits, ScratchCursor& cursor);

  /// Takes from a cursor that only counts what the other constructor takes at most.
  static void count(ScratchCursor& cursor, const MlaShape& shape, const WaveLimits& limits, int64_t max_rows,
                    int64_t max_runs);

  /// Fills `wave` with the next distinct blocks in ascending place; false when all have been.
  bool next_wave();

  bool belongs(const RowTile& tile, const WaveBlock& block) const {
    return tile.position + tile.n_rows > block.start() && block_id(tile.sequence, block.place) == block.id;
  }

  /// Whether blocks are stored in a format that must be unpacked into numbers() before they are read.
  bool is_packed() const { return packed_; }
  const std::byte* stored_row(const WaveBlock& block, int64_t token) const {
    return cache_ + (block.id * kBlockTokens + token) * layout_.row_bytes;
  }
  const LatentLayout& layout() const { return layout_; }
  /// [64, rk + dr]: the block's rows in fp32, in the cache itself or where they are unpacked to.
  float* unpacked(int64_t slot) const { return unpacked_ + slot * kBlockTokens * shape_.latent(); }
  const float* numbers(int64_t slot) const {
    return packed_ ? unpacked(slot) : reinterpret_cast<const float*>(stored_row(wave[slot], 0));
  }

  WaveBlock* wave = nullptr;  // [n_wave]
  int64_t n_wave = 0;
  RowTile* tiles = nullptr;  // [n_tiles]
  int64_t n_tiles = 0;
  RowState* states = nullptr;  // [T, H]

 private:
  WavePlan(const MlaShape& shape, const WaveLimits& limits, LatentFormat format)
      : shape_(shape), limits_(limits), layout_(format, shape.rank, shape.rope) {}

  void carve(ScratchCursor& cursor, int64_t max_rows, int64_t max_runs);
  /// The distinct blocks at place_ into at_place_, ascending by id.
  void collect_place();

  int32_t block_id(int64_t sequence, int64_t place) const {
    return block_table_[sequence * table_width_ + place];
  }

  MlaShape shape_;
  WaveLimits limits_;
  LatentLayout layout_;
  bool packed_ = false;
  const std::byte* cache_ = nullptr;
  const int32_t* block_table_ = nullptr;
  int64_t table_width_ = 0;
  const AttentionRun* runs_ = nullptr;
  int64_t n_runs_ = 0;

  float* unpacked_ = nullptr;
  WaveBlock* at_place_ = nullptr;  // [n_at_place_]
  int64_t n_at_place_ = 0;
  int64_t next_at_place_ = 0;
  int64_t place_ = -1;
};

}  // namespace fathom::kernels::cpu
