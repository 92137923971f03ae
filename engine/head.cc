// What Forward reads off the last hidden states: log probabilities, the most likely ids, draws.
#include <algorithm>

#include "base/error.h"
#include "engine/forward.h"

namespace fathom::engine {

// The rows in staging_: lm_head RMSNorm(x).
Tensor Forward::logits() {
  const int64_t n = static_cast<int64_t>(staging_.size());
  FATHOM_CHECK(n <= work_.limits.max_head_rows, "{} rows", n);
  const Tensor rows = work_.head_rows.view({n});
  const Tensor hidden = work_.head_hidden.rows(n);  // [n, h]
  const Tensor logits = work_.logits.rows(n);       // [n, V]
  kernels::upload(stream_, std::as_bytes(std::span(staging_)), rows);
  staging_.clear();
  kernels::gather_rows(stream_, {.table = work_.x.rows(n_rows()), .rows = rows, .out = hidden});
  kernels::rms_norm(
      stream_,
      {.x = hidden, .weight = weights_.norm, .eps = static_cast<float>(config_.rms_norm_eps), .out = hidden});
  kernels::linear(
      stream_, {.x = hidden, .weight = weights_.lm_head, .out = logits, .scratch = work_.scratch.scratch()});
  check_finite(logits, 2 * config_.num_hidden_layers);
  return logits;
}

void Forward::score(std::span<ScoredRow> rows) {
  while (!rows.empty()) {
    // As many rows as fit; a single row with more targets than fit is a bug of the caller's limits.
    size_t n = 0;
    int64_t n_targets = 0;
    while (n < rows.size() && static_cast<int64_t>(n) < work_.limits.max_head_rows) {
      n_targets += static_cast<int64_t>(rows[n].targets.size());
      if (n > 0 && n_targets > work_.limits.max_targets) break;
      ++n;
    }
    score_piece(rows.first(n));
    rows = rows.subspan(n);
  }
}

void Forward::score_piece(std::span<ScoredRow> rows) {
  const int64_t n = static_cast<int64_t>(rows.size());
  for (const ScoredRow& row : rows) staging_.push_back(static_cast<int32_t>(row.row));
  const Tensor row_logits = logits();

  staging_.push_back(0);
  for (const ScoredRow& row : rows)
    staging_.push_back(staging_.back() + static_cast<int32_t>(row.targets.size()));
  const int64_t n_targets = staging_.back();
  const Tensor offsets = work_.offsets.view({n + 1});
  kernels::upload(stream_, std::as_bytes(std::span(staging_)), offsets);
  staging_.clear();
  for (const ScoredRow& row : rows) staging_.insert(staging_.end(), row.targets.begin(), row.targets.end());
  const Tensor targets = work_.targets.view({n_targets});
  kernels::upload(stream_, std::as_bytes(std::span(staging_)), targets);
  staging_.clear();

  const Tensor logprobs = work_.logprobs.view({n_targets});
  const Tensor argmax = work_.argmax.view({n});
  kernels::log_softmax_gather(
      stream_,
      {.logits = row_logits, .offsets = offsets, .ids = targets, .logprobs = logprobs, .argmax = argmax});
  throw_if_not_finite();

  int64_t done = 0;
  for (int64_t r = 0; r < n; ++r) {
    ScoredRow& row = rows[static_cast<size_t>(r)];
    const int64_t end = done + static_cast<int64_t>(row.targets.size());
    kernels::download(stream_, logprobs.rows(done, end), std::as_writable_bytes(row.logprobs));
    kernels::download(stream_, argmax.rows(r, r + 1), std::as_writable_bytes(std::span(&row.argmax, 1)));
    done = end;
  }
}

void Forward::top(int64_t row, std::span<TokenId> ids, std::span<float> logprobs) {
  const int64_t k = static_cast<int64_t>(ids.size());
  staging_.push_back(static_cast<int32_t>(row));
  const Tensor row_logits = logits();
  const Tensor best = work_.top_ids.view({1, k});
  const Tensor best_logprobs = work_.top_logprobs.view({1, k});
  kernels::top_logprobs(stream_, {.logits = row_logits, .ids = best, .logprobs = best_logprobs});
  throw_if_not_finite();
  kernels::download(stream_, best, std::as_writable_bytes(ids));
  kernels::download(stream_, best_logprobs, std::as_writable_bytes(logprobs));
}

void Forward::sample(std::span<DrawnRow> rows) {
  const int64_t n = static_cast<int64_t>(rows.size());
  sampling_.clear();
  for (const DrawnRow& row : rows) {
    staging_.push_back(static_cast<int32_t>(row.row));
    sampling_.push_back(row.sampling);
  }
  const Tensor row_logits = logits();
  const Tensor ids = work_.argmax.view({n});
  const Tensor logprobs = work_.logprobs.view({n});
  kernels::sample(stream_, {.logits = row_logits,
                            .rows = sampling_,
                            .ids = ids,
                            .logprobs = logprobs,
                            .scratch = work_.scratch.scratch()});
  throw_if_not_finite();
  for (int64_t r = 0; r < n; ++r) {
    DrawnRow& row = rows[static_cast<size_t>(r)];
    kernels::download(stream_, ids.rows(r, r + 1), std::as_writable_bytes(std::span(&row.id, 1)));
    kernels::download(stream_, logprobs.rows(r, r + 1), std::as_writable_bytes(std::span(&row.logprob, 1)));
  }
}

}  // namespace fathom::engine
