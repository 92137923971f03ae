#include "kernels/cpu/wave_plan.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/cpu/parallel.h"

namespace fathom::kernels::cpu {

void WavePlan::count(ScratchCursor& cursor, const MlaShape& shape, const WaveLimits& limits, int64_t max_rows,
                     int64_t max_runs) {
  // A format other than fp32: the rows are unpacked.
  WavePlan(shape, limits, LatentFormat::kBF16).carve(cursor, max_rows, max_runs);
}

void WavePlan::carve(ScratchCursor& cursor, int64_t max_rows, int64_t max_runs) {
  packed_ = layout_.format != LatentFormat::kF32;
  states = cursor.take<RowState>(max_rows * shape_.num_heads);
  tiles = cursor.take<RowTile>(div_up(max_rows, limits_.tile_rows) + max_runs);
  wave = cursor.take<WaveBlock>(limits_.n_blocks);
  at_place_ = cursor.take<WaveBlock>(max_runs);
  if (packed_) unpacked_ = cursor.take<float>(limits_.n_blocks * kBlockTokens * shape_.latent());
}

WavePlan::WavePlan(const Mla& args, const WaveLimits& limits, ScratchCursor& cursor)
    : WavePlan(args.shape, limits, args.format) {
  cache_ = static_cast<const std::byte*>(args.cache.data);
  block_table_ = static_cast<const int32_t*>(args.block_table.data);
  table_width_ = args.block_table.shape[1];
  runs_ = static_cast<const AttentionRun*>(args.runs.data);
  n_runs_ = args.runs.shape[0];
  carve(cursor, args.q.shape[0], n_runs_);
  int64_t next_row = 0;
  for (int64_t i = 0; i < n_runs_; ++i) {
    const AttentionRun& run = runs_[i];
    FATHOM_CHECK(run.first_row == next_row && run.n_rows >= 0 && run.first_position >= 0 &&
                     run.sequence >= 0 && run.sequence < args.block_table.shape[0] &&
                     run.first_position + run.n_rows <= table_width_ * kBlockTokens,
                 "run {}: row {}, {} rows from position {}, sequence {}", i, run.first_row, run.n_rows,
                 run.first_position, run.sequence);
    next_row += run.n_rows;
    for (int64_t done = 0; done < run.n_rows; done += limits_.tile_rows) {
      tiles[n_tiles++] = {run.first_row + done, std::min(limits_.tile_rows, run.n_rows - done),
                          run.first_position + done, run.sequence};
    }
  }
  FATHOM_CHECK(next_row == args.q.shape[0], "runs cover {} of {} rows", next_row, args.q.shape[0]);
}

void WavePlan::collect_place() {
  n_at_place_ = 0;
  next_at_place_ = 0;
  for (int64_t i = 0; i < n_runs_; ++i) {
    const int64_t end = runs_[i].first_position + runs_[i].n_rows - place_ * kBlockTokens;
    if (runs_[i].n_rows == 0 || end <= 0) continue;
    at_place_[n_at_place_++] = {block_id(runs_[i].sequence, place_), static_cast<int32_t>(place_),
                                static_cast<int32_t>(std::min(end, kBlockTokens))};
  }
  // Of the runs that share a block, the one that sees most of it comes first and stays.
  std::sort(at_place_, at_place_ + n_at_place_, [](const WaveBlock& a, const WaveBlock& b) {
    return a.id != b.id ? a.id < b.id : a.n_tokens > b.n_tokens;
  });
  n_at_place_ = std::unique(at_place_, at_place_ + n_at_place_,
                            [](const WaveBlock& a, const WaveBlock& b) { return a.id == b.id; }) -
                at_place_;
}

bool WavePlan::next_wave() {
  n_wave = 0;
  while (n_wave < limits_.n_blocks) {
    if (next_at_place_ == n_at_place_) {
      ++place_;
      collect_place();
      if (n_at_place_ == 0) break;
    }
    wave[n_wave++] = at_place_[next_at_place_++];
  }
  return n_wave > 0;
}

}  // namespace fathom::kernels::cpu
