// An independent DeepSeek-V2 in float64, written from the model's formulas (deepseek_v2.md 3-5) and sharing
// no arithmetic with the engine, with switches that break it the way real implementations have been broken.
//
// Expanded attention without a cache, one token after another; slow and plain. Only inverse frequencies and
// angles are fp32, as the model defines them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/token.h"

namespace fathom::engine {

/// The common bugs of deepseek_v2.md 10.4.
enum class Mutation {
  kNone,
  kNoMscale,           // softmax scale without mscale^2
  kMscaleOnce,         // ... with mscale to the first power
  kPlainRope,          // no YaRN in the frequencies
  kLinearScaling,      // every pair divided by the factor
  kRampInverted,       // fast and slow pairs exchanged
  kHalfSplitRotation,  // pairs (j, j + dr/2) on weights stored as (2j, 2j + 1)
  kQueryRopeFirst,     // query heads read as [rope, nope]
  kScaleOfNope,        // dn^-0.5 instead of (dn + dr)^-0.5
  kPositionsFromOne,
  kGroupTopTwoSum,  // a group's score is the sum of its two best experts
  kGroupsStrided,   // group g is scored by the experts e with e mod G = g
  kNoGroupLimit,
  kRenormalisedTopK,
  kNoRoutedScaling,
  kNoSharedExperts,
  kGateUpSwapped,        // in the routed experts
  kNoLatentNorm,         // no kv_a_layernorm
  kKvSplitAllKeysFirst,  // kv_b read as [all K | all V]
  kEpsOneTooLarge,       // 1e-5 instead of 1e-6 in the layer norms
};

struct ReferenceScores {
  std::vector<std::vector<double>> logits;                // [n][V]
  std::vector<double> logprobs;                           // [n]: log p(ids[i] | ids[< i]); 0 at 0
  std::vector<TokenId> argmax;                            // [n], ties to the lowest id
  std::vector<double> margins;                            // [n]: best minus second-best logit
  std::vector<std::vector<std::vector<int32_t>>> routes;  // per layer [n][k] by falling score, empty if dense
  std::vector<double> router_margins;  // [n]: smallest probability gap over all layers that decided a choice
  std::vector<std::vector<double>> rope_keys;  // [n][dr] of layer 0: the rotated shared key

  double sum() const;
};

class ReferenceModel {
 public:
  explicit ReferenceModel(const Checkpoint& checkpoint, Mutation mutation = Mutation::kNone);

  ReferenceScores score(std::span<const TokenId> ids) const;

 private:
  using Vector = std::vector<double>;
  struct Matrix {
    int64_t rows = 0;
    int64_t cols = 0;
    Vector values;
  };
  struct Mlp {
    Matrix gate, up, down;
  };
  struct Layer {
    Vector input_norm, post_norm, q_a_norm, kv_a_norm, q_a_bias, kv_a_bias, o_bias;
    Matrix q, q_a, q_b, kv_a, kv_b, o, router;
    std::vector<Mlp> experts;
    Mlp mlp;  // the dense MLP, or the shared experts
    bool is_moe = false;
  };
  struct Route {
    std::vector<int32_t> experts;
    Vector weights;
    double margin = 0.0;
  };
  /// Keys and values of a layer's past tokens, [position][head].
  struct Past {
    std::vector<Vector> keys, values;
  };

  static Vector read(const kernels::Tensor& tensor);
  static Matrix read_matrix(const kernels::Tensor& tensor);
  static Mlp read_mlp(const MlpWeights& weights);
  static Vector times(const Matrix& w, const double* x);
  Vector norm(const double* x, const Vector& weight, double eps) const;
  void set_rope();
  void rotate(double* pe, int64_t position) const;
  Vector attention(const Layer& layer, const Vector& x, int64_t position, Past& past, Vector* rope_key) const;
  Route route(const Layer& layer, const Vector& x) const;
  Vector swiglu(const Mlp& mlp, const Vector& x, bool swapped) const;
  Vector feed_forward(const Layer& layer, const Vector& x, Route* route) const;

  ModelConfig config_;
  Mutation mutation_;
  Matrix embed_, head_;
  Vector final_norm_;
  std::vector<Layer> layers_;
  std::vector<float> inv_freq_;
  double rope_factor_ = 1.0;
  double scale_ = 1.0;
  double eps_ = 0.0;
};

}  // namespace fathom::engine
