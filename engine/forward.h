// Forward: the DeepSeek-V2 forward pass over a batch of runs, and what is read off its last hidden states.
//
// run() -> layer() -> attention | mlp | moe -> kernels. Nothing here looks inside a tensor, and nothing is
// allocated after construction: the Workspace holds every activation. A row's result depends on its own
// sequence and form alone (kernels.h), so a caller may batch and chunk as it likes. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/batch.h"
#include "engine/config.h"
#include "engine/latent_cache.h"
#include "engine/token.h"
#include "engine/weights.h"
#include "engine/workspace.h"
#include "kernels/kernels.h"

namespace fathom::engine {

/// A row of the last run() whose next-token distribution is wanted.
struct ScoredRow {
  int64_t row = 0;
  std::span<const TokenId> targets;
  std::span<float> logprobs;  ///< out: log p of each target
  TokenId argmax = 0;         ///< out: the most likely id, the lowest among equals
};

/// A row of the last run() whose next token is to be drawn.
struct DrawnRow {
  int64_t row = 0;
  kernels::RowSampling sampling;
  TokenId id = 0;        ///< out
  float logprob = 0.0f;  ///< out: at temperature 1
};

class Forward {
 public:
  /// Borrows everything it is given.
  Forward(const ModelConfig& config, const Weights& weights, LatentCache& cache,
          const kernels::Stream& stream, const WorkspaceLimits& limits);

  /// Computes all layers for the runs' tokens and writes their cache rows. Expanded runs come first; at most
  /// max_rows tokens and max_runs runs. Throws Error{kEngine} naming the first layer with a NaN or infinity.
  void run(std::span<const Run> runs);

  /// Fills in logprobs and argmax of any number of rows. Throws like run().
  void score(std::span<ScoredRow> rows);
  /// The ids.size() <= max_top most likely ids after `row`, best first.
  void top(int64_t row, std::span<TokenId> ids, std::span<float> logprobs);
  /// Draws one token for each of at most max_head_rows rows.
  void sample(std::span<DrawnRow> rows);
  /// Expert ids of every row of the last run() in layer i, [rows, num_experts_per_tok]; empty for a dense
  /// layer.
  std::vector<int32_t> routes(int64_t i) const;

  int64_t n_rows() const { return batch_.n_rows(); }
  const WorkspaceLimits& limits() const { return work_.limits; }

 private:
  enum class Sum { kReplace, kAdd };

  void layer(int64_t i);
  void attention(int64_t i);
  void attend(int64_t i, AttentionForm form);
  void mlp(const MlpWeights& w, Sum sum);
  /// kernels::linear with the workspace's scratch and arithmetic.
  void linear(kernels::Linear args);
  void moe(int64_t i, const MoeWeights& w);
  /// Final norm and lm_head of the rows in `staging_`, at most max_head_rows: [n, V]. Empties `staging_`.
  Tensor logits();
  /// score() of at most max_head_rows rows with at most max_targets targets.
  void score_piece(std::span<ScoredRow> rows);
  /// Marks `flag` (2 i: attention of layer i, 2 i + 1: its feed-forward, 2 L: the logits) if x has a NaN or
  /// inf.
  void check_finite(const Tensor& x, int64_t flag);
  void throw_if_not_finite();

  /// A MoE layer's experts as expert_mlps wants them; empty for dense layers.
  struct ExpertTensors {
    std::vector<Tensor> gate, up, down;
  };

  const ModelConfig& config_;
  const Weights& weights_;
  LatentCache& cache_;
  kernels::Stream stream_;
  Workspace work_;
  Batch batch_;
  kernels::MlaShape shape_;
  float rope_factor_;
  float softmax_scale_;
  std::vector<ExpertTensors> expert_tensors_;
  std::vector<int32_t> staging_;  // host values on their way to a tensor
  std::vector<kernels::RowSampling> sampling_;
  std::vector<int32_t> flags_;
};

}  // namespace fathom::engine
