// How the output of a product is cut into tasks: by speed alone, since no cut changes a bit (dot-inl.h).
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/parallel.h"

namespace fathom::kernels::cpu {

/// Rows of a block, whole tiles of 4 and of 6 (dot-inl.h): of numbers, and of codes, which take less room.
inline constexpr int64_t kMaxRowBlock = 60;
inline constexpr int64_t kMaxInt8Rows = 240;
inline constexpr int64_t kMaxColBlock = 384;
inline constexpr int64_t kMaxBlock = kMaxRowBlock * kMaxColBlock;  // numbers of a block's output

struct Block {
  int64_t row = 0, row_end = 0;  // at most max_rows, kMaxBlock in all
  int64_t col = 0, col_end = 0;  // at most kMaxColBlock
};

/// Blocks of [n_rows, n_cols] with inner length k, `column_unit` (products.h) a divisor of their columns, and
/// of up to `max_rows` rows (kMaxRowBlock, or kMaxInt8Rows).
/// Rows vary fastest, so that threads at work at the same time share the weights of a block of columns in
/// their common cache.
class Tiling {
 public:
  Tiling(int64_t n_rows, int64_t n_cols, int64_t k, int64_t column_unit, int64_t max_rows, int n_threads)
      : n_rows_(n_rows), n_cols_(n_cols) {
    // A block's rows stay in L2 (384 KiB of it) while its columns pass.
    const int64_t numbers = max_rows / kMaxRowBlock * (int64_t{3} << 15);
    row_block_ = std::clamp<int64_t>(numbers / std::max<int64_t>(k, 1) / 12 * 12, 12, max_rows);
    n_row_blocks_ = div_up(n_rows, row_block_);
    // Few rows stream weights: pieces of about 256 KiB of bf16. Many rows: 192 columns are work enough.
    const int64_t wanted = n_rows >= 16 ? 192 : (int64_t{1} << 17) / std::max<int64_t>(k, 1);
    const int64_t fair_share = div_up(n_cols, 2 * n_threads);
    const int64_t most = std::min(
        kMaxColBlock, kMaxBlock / std::clamp<int64_t>(n_rows, 1, row_block_) / column_unit * column_unit);
    col_block_ = std::clamp<int64_t>(div_up(std::min(wanted, fair_share), column_unit) * column_unit,
                                     column_unit, most);
  }

  int64_t n_blocks() const { return n_row_blocks_ * div_up(n_cols_, col_block_); }

  Block block(int64_t i) const {
    const int64_t row = i % std::max<int64_t>(n_row_blocks_, 1) * row_block_;
    const int64_t col = i / std::max<int64_t>(n_row_blocks_, 1) * col_block_;
    return {row, std::min(n_rows_, row + row_block_), col, std::min(n_cols_, col + col_block_)};
  }

 private:
  int64_t n_rows_;
  int64_t n_cols_;
  int64_t row_block_;
  int64_t n_row_blocks_;
  int64_t col_block_;
};

}  // namespace fathom::kernels::cpu
