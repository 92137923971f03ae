// Batch: the runs of one forward pass as the tensors that the kernels read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/token.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

namespace fathom::engine {

/// The two ways to compute attention; equal in exact arithmetic, not in bits.
enum class AttentionForm { kExpanded, kAbsorbed };

/// Consecutive new tokens of one sequence whose earlier positions are in the cache.
struct Run {
  std::span<const TokenId> ids;
  int64_t first_position = 0;
  std::span<const int32_t> blocks;  ///< cache blocks with room for first_position + ids.size() positions
  AttentionForm form = AttentionForm::kExpanded;
};

/// Rows count over all runs in order. Expanded runs come first.
class Batch {
 public:
  Batch(const kernels::Stream& stream, const WorkspaceLimits& limits);

  /// FATHOM_CHECKs the limits and the order of forms. Allocates nothing.
  void load(std::span<const Run> runs);

  int64_t n_rows() const { return n_rows_; }
  kernels::Tensor ids() const { return ids_.view({n_rows_}); }
  kernels::Tensor positions() const { return positions_.view({n_rows_}); }
  kernels::Tensor slots() const { return slots_.view({n_rows_}); }
  kernels::Tensor block_table() const { return block_table_.view({n_runs_, table_width_}); }

  /// The rows of one form, and its runs as AttentionRun counted from the first of those rows.
  struct Part {
    int64_t first_row = 0;
    int64_t n_rows = 0;
    kernels::Tensor runs;  // [n, 4]
  };
  Part part(AttentionForm form) const;

 private:
  /// Uploads `staging_` and empties it.
  void send(const Activation& to);

  kernels::Stream stream_;
  WorkspaceLimits limits_;
  Activation ids_;          // [T] I32
  Activation positions_;    // [T] I32
  Activation slots_;        // [T] I32
  Activation block_table_;  // [R, blocks of the longest sequence] I32
  Activation runs_;         // [R, 4] I32
  std::vector<int32_t> staging_;
  int64_t n_rows_ = 0;
  int64_t n_expanded_rows_ = 0;
  int64_t n_runs_ = 0;
  int64_t n_expanded_runs_ = 0;
  int64_t table_width_ = 0;
};

}  // namespace fathom::engine
