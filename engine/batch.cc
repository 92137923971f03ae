#include "engine/batch.h"

#include <algorithm>

#include "base/error.h"

namespace fathom::engine {

using kernels::Dtype;
using kernels::kBlockTokens;

Batch::Batch(const kernels::Stream& stream, const WorkspaceLimits& limits)
    : stream_(stream),
      limits_(limits),
      ids_(stream.space, Dtype::kI32, limits.max_rows, 1),
      positions_(stream.space, Dtype::kI32, limits.max_rows, 1),
      slots_(stream.space, Dtype::kI32, limits.max_rows, 1),
      block_table_(stream.space, Dtype::kI32, limits.max_runs, limits.max_positions / kBlockTokens + 1),
      runs_(stream.space, Dtype::kI32, limits.max_runs, 4) {
  const int64_t table = limits.max_runs * (limits.max_positions / kBlockTokens + 1);
  staging_.reserve(static_cast<size_t>(std::max({limits.max_rows, table, 4 * limits.max_runs})));
}

void Batch::send(const Activation& to) {
  kernels::upload(stream_, std::as_bytes(std::span(staging_)),
                  to.view({static_cast<int64_t>(staging_.size())}));
  staging_.clear();
}

void Batch::load(std::span<const Run> runs) {
  n_rows_ = n_expanded_rows_ = n_expanded_runs_ = table_width_ = 0;
  n_runs_ = static_cast<int64_t>(runs.size());
  FATHOM_CHECK(n_runs_ <= limits_.max_runs, "{} runs", n_runs_);
  for (const Run& run : runs) {
    const int64_t n = static_cast<int64_t>(run.ids.size());
    const int64_t end = run.first_position + n;
    FATHOM_CHECK(
        end <= static_cast<int64_t>(run.blocks.size()) * kBlockTokens && end <= limits_.max_positions,
        "positions up to {} in {} blocks", end, run.blocks.size());
    if (run.form == AttentionForm::kExpanded) {
      FATHOM_CHECK(n_expanded_rows_ == n_rows_, "expanded runs come first");
      n_expanded_rows_ += n;
      ++n_expanded_runs_;
    }
    n_rows_ += n;
    table_width_ = std::max(table_width_, (end + kBlockTokens - 1) / kBlockTokens);
  }
  FATHOM_CHECK(n_rows_ <= limits_.max_rows, "{} rows", n_rows_);

  for (const Run& run : runs) staging_.insert(staging_.end(), run.ids.begin(), run.ids.end());
  send(ids_);
  for (const Run& run : runs) {
    for (size_t i = 0; i < run.ids.size(); ++i)
      staging_.push_back(static_cast<int32_t>(run.first_position + static_cast<int64_t>(i)));
  }
  send(positions_);
  for (const Run& run : runs) {
    for (size_t i = 0; i < run.ids.size(); ++i) {
      const int64_t position = run.first_position + static_cast<int64_t>(i);
      const int32_t block = run.blocks[static_cast<size_t>(position / kBlockTokens)];
      staging_.push_back(static_cast<int32_t>(block * kBlockTokens + position % kBlockTokens));
    }
  }
  send(slots_);
  for (const Run& run : runs) {
    for (size_t b = 0; b < static_cast<size_t>(table_width_); ++b) {
      staging_.push_back(b < run.blocks.size() ? run.blocks[b] : -1);  // -1: beyond what the run sees
    }
  }
  send(block_table_);
  int64_t row = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    const int64_t part_begin = runs[i].form == AttentionForm::kExpanded ? 0 : n_expanded_rows_;
    const int64_t n = static_cast<int64_t>(runs[i].ids.size());
    for (int64_t value : {row - part_begin, n, runs[i].first_position, static_cast<int64_t>(i)}) {
      staging_.push_back(static_cast<int32_t>(value));  // the fields of kernels::AttentionRun in order
    }
    row += n;
  }
  send(runs_);
}

Batch::Part Batch::part(AttentionForm form) const {
  const kernels::Tensor all = runs_.view({n_runs_, 4});
  if (form == AttentionForm::kExpanded) return {0, n_expanded_rows_, all.rows(0, n_expanded_runs_)};
  return {n_expanded_rows_, n_rows_ - n_expanded_rows_, all.rows(n_expanded_runs_, n_runs_)};
}

}  // namespace fathom::engine
