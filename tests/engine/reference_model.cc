#include "tests/engine/reference_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace fathom::engine {
namespace {

constexpr double kLatentEps = 1e-6;  // q_a_layernorm and kv_a_layernorm, whatever rms_norm_eps says

std::vector<double> softmax(std::vector<double> x) {
  const double max = *std::max_element(x.begin(), x.end());
  double sum = 0.0;
  for (double& v : x) sum += v = std::exp(v - max);
  for (double& v : x) v /= sum;
  return x;
}

// Indices by falling value, the lower index first among equals.
std::vector<int64_t> by_falling(const std::vector<double>& values) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  return order;
}

double yarn_mscale(double factor, double c) {
  return factor <= 1.0 ? 1.0 : 0.1 * c * std::log(factor) + 1.0;
}

void add_to(std::vector<double>& x, const std::vector<double>& y, double weight = 1.0) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += weight * y[i];
}

}  // namespace

double ReferenceScores::sum() const {
  return std::accumulate(logprobs.begin(), logprobs.end(), 0.0);
}

ReferenceModel::Vector ReferenceModel::read(const kernels::Tensor& tensor) {
  Vector values(static_cast<size_t>(tensor.elements()));
  const auto* bytes = static_cast<const char*>(tensor.data);
  for (size_t i = 0; i < values.size(); ++i) {
    float f;
    uint16_t half;
    switch (tensor.dtype) {
      case kernels::Dtype::kF32:
        std::memcpy(&f, bytes + 4 * i, 4);
        values[i] = f;
        break;
      case kernels::Dtype::kBF16:
        std::memcpy(&half, bytes + 2 * i, 2);
        values[i] = std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
        break;
      case kernels::Dtype::kF16:
        std::memcpy(&half, bytes + 2 * i, 2);
        values[i] = static_cast<double>(std::bit_cast<_Float16>(half));
        break;
      default:
        FATHOM_CHECK(false, "{}", tensor.describe());
    }
  }
  return values;
}

ReferenceModel::Matrix ReferenceModel::read_matrix(const kernels::Tensor& tensor) {
  if (tensor.data == nullptr) return {};
  return {tensor.shape[0], tensor.shape[1], read(tensor)};
}

ReferenceModel::Mlp ReferenceModel::read_mlp(const MlpWeights& weights) {
  return {read_matrix(weights.gate_proj), read_matrix(weights.up_proj), read_matrix(weights.down_proj)};
}

ReferenceModel::ReferenceModel(const Checkpoint& checkpoint, Mutation mutation)
    : config_(checkpoint.config()), mutation_(mutation) {
  const Weights& w = checkpoint.weights();
  embed_ = read_matrix(w.embed_tokens);
  head_ = read_matrix(w.lm_head);
  final_norm_ = read(w.norm);
  for (const LayerWeights& from : w.layers) {
    const AttentionWeights& a = from.self_attn;
    Layer& layer = layers_.emplace_back();
    layer.input_norm = read(from.input_layernorm);
    layer.post_norm = read(from.post_attention_layernorm);
    layer.kv_a_norm = read(a.kv_a_layernorm);
    if (a.q_a_layernorm.data != nullptr) layer.q_a_norm = read(a.q_a_layernorm);
    if (a.q_a_proj_bias.data != nullptr) layer.q_a_bias = read(a.q_a_proj_bias);
    if (a.kv_a_proj_with_mqa_bias.data != nullptr) layer.kv_a_bias = read(a.kv_a_proj_with_mqa_bias);
    if (a.o_proj_bias.data != nullptr) layer.o_bias = read(a.o_proj_bias);
    layer.q = read_matrix(a.q_proj);
    layer.q_a = read_matrix(a.q_a_proj);
    layer.q_b = read_matrix(a.q_b_proj);
    layer.kv_a = read_matrix(a.kv_a_proj_with_mqa);
    layer.kv_b = read_matrix(a.kv_b_proj);
    layer.o = read_matrix(a.o_proj);
    layer.is_moe = from.moe.has_value();
    if (!layer.is_moe) {
      layer.mlp = read_mlp(*from.mlp);
      continue;
    }
    layer.router = read_matrix(from.moe->gate);
    for (const MlpWeights& expert : from.moe->experts) layer.experts.push_back(read_mlp(expert));
    if (from.moe->shared_experts) layer.mlp = read_mlp(*from.moe->shared_experts);
  }
  eps_ = mutation == Mutation::kEpsOneTooLarge ? 10 * config_.rms_norm_eps : config_.rms_norm_eps;
  set_rope();
}

// deepseek_v2.md 3.4 and 3.5; every step of the frequencies in fp32.
void ReferenceModel::set_rope() {
  const int64_t d = config_.qk_rope_head_dim;
  const double width = mutation_ == Mutation::kScaleOfNope ? static_cast<double>(config_.qk_nope_head_dim)
                                                           : static_cast<double>(config_.qk_head_dim());
  scale_ = 1.0 / std::sqrt(width);
  float low = 0.0f, span = 1.0f, factor = 1.0f;
  if (config_.yarn) {
    const YarnConfig& yarn = *config_.yarn;
    const auto pair = [&](double rotations) {
      return static_cast<double>(d) *
             std::log(static_cast<double>(yarn.original_max_position_embeddings) / (rotations * 2 * M_PI)) /
             (2 * std::log(config_.rope_theta));
    };
    const double first = std::max(std::floor(pair(yarn.beta_fast)), 0.0);
    const double last = std::min(std::ceil(pair(yarn.beta_slow)), static_cast<double>(d - 1));
    low = static_cast<float>(first);
    span = static_cast<float>(first == last ? 0.001 : last - first);
    factor = static_cast<float>(yarn.factor);
    const double all_dim = yarn.mscale_all_dim.value_or(0.0);
    rope_factor_ = yarn_mscale(yarn.factor, yarn.mscale.value_or(1.0)) / yarn_mscale(yarn.factor, all_dim);
    const double g = all_dim == 0.0 ? 1.0 : yarn_mscale(yarn.factor, all_dim);
    if (mutation_ == Mutation::kMscaleOnce) {
      scale_ *= g;
    } else if (mutation_ != Mutation::kNoMscale) {
      scale_ *= g * g;
    }
  }
  for (int64_t j = 0; j < d / 2; ++j) {
    const auto wavelength = static_cast<float>(
        std::pow(config_.rope_theta, static_cast<double>(static_cast<float>(2 * j) / static_cast<float>(d))));
    const float fast = 1.0f / wavelength;
    const float slow = 1.0f / (factor * wavelength);
    float share = 1.0f - std::clamp((static_cast<float>(j) - low) / span, 0.0f, 1.0f);  // of the fast one
    if (mutation_ == Mutation::kRampInverted) share = 1.0f - share;
    float f = slow * (1.0f - share) + fast * share;
    if (!config_.yarn || mutation_ == Mutation::kPlainRope) f = fast;
    if (mutation_ == Mutation::kLinearScaling) f = slow;
    inv_freq_.push_back(f);
  }
}

ReferenceModel::Vector ReferenceModel::times(const Matrix& w, const double* x) {
  Vector y(static_cast<size_t>(w.rows));
  for (int64_t r = 0; r < w.rows; ++r) {
    const double* row = w.values.data() + r * w.cols;
    double sum = 0.0;
    for (int64_t c = 0; c < w.cols; ++c) sum += row[c] * x[c];
    y[static_cast<size_t>(r)] = sum;
  }
  return y;
}

ReferenceModel::Vector ReferenceModel::norm(const double* x, const Vector& weight, double eps) const {
  double squares = 0.0;
  for (size_t i = 0; i < weight.size(); ++i) squares += x[i] * x[i];
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(weight.size()) + eps);
  Vector y(weight.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = weight[i] * (x[i] * scale);
  return y;
}

void ReferenceModel::rotate(double* pe, int64_t position) const {
  const size_t half = inv_freq_.size();
  for (size_t j = 0; j < half; ++j) {
    const float angle = static_cast<float>(position) * inv_freq_[j];
    const double cos = std::cos(static_cast<double>(angle)) * rope_factor_;
    const double sin = std::sin(static_cast<double>(angle)) * rope_factor_;
    const bool split = mutation_ == Mutation::kHalfSplitRotation;
    double& a = pe[split ? j : 2 * j];
    double& b = pe[split ? j + half : 2 * j + 1];
    const double turned = a * cos - b * sin;
    b = b * cos + a * sin;
    a = turned;
  }
}

ReferenceModel::Vector ReferenceModel::attention(const Layer& layer, const Vector& x, int64_t position,
                                                 Past& past, Vector* rope_key) const {
  const int64_t heads = config_.num_attention_heads, dn = config_.qk_nope_head_dim,
                dr = config_.qk_rope_head_dim, dv = config_.v_head_dim, rank = config_.kv_lora_rank;
  Vector q;
  if (config_.q_lora_rank) {
    Vector latent = times(layer.q_a, x.data());
    if (!layer.q_a_bias.empty()) add_to(latent, layer.q_a_bias);
    q = times(layer.q_b, norm(latent.data(), layer.q_a_norm, kLatentEps).data());
  } else {
    q = times(layer.q, x.data());
  }
  Vector kv = times(layer.kv_a, x.data());
  if (!layer.kv_a_bias.empty()) add_to(kv, layer.kv_a_bias);
  const Vector latent = mutation_ == Mutation::kNoLatentNorm ? Vector(kv.begin(), kv.begin() + rank)
                                                             : norm(kv.data(), layer.kv_a_norm, kLatentEps);
  const int64_t at = position + (mutation_ == Mutation::kPositionsFromOne ? 1 : 0);
  Vector k_pe(kv.begin() + rank, kv.end());
  rotate(k_pe.data(), at);
  *rope_key = k_pe;

  const Vector expanded = times(layer.kv_b, latent.data());
  const bool keys_first = mutation_ == Mutation::kKvSplitAllKeysFirst;
  Vector keys, values;
  for (int64_t a = 0; a < heads; ++a) {
    const double* k = expanded.data() + (keys_first ? a * dn : a * (dn + dv));
    const double* v = expanded.data() + (keys_first ? heads * dn + a * dv : a * (dn + dv) + dn);
    keys.insert(keys.end(), k, k + dn);
    keys.insert(keys.end(), k_pe.begin(), k_pe.end());
    values.insert(values.end(), v, v + dv);
  }
  past.keys.push_back(std::move(keys));
  past.values.push_back(std::move(values));

  Vector out(static_cast<size_t>(heads * dv));
  for (int64_t a = 0; a < heads; ++a) {
    double* head = q.data() + a * (dn + dr);
    if (mutation_ == Mutation::kQueryRopeFirst) std::rotate(head, head + dr, head + dn + dr);
    rotate(head + dn, at);
    Vector scores;
    for (const Vector& key : past.keys) {
      double score = 0.0;
      for (int64_t i = 0; i < dn + dr; ++i) score += head[i] * key[static_cast<size_t>(a * (dn + dr) + i)];
      scores.push_back(score * scale_);
    }
    const Vector p = softmax(std::move(scores));
    for (size_t j = 0; j < p.size(); ++j) {
      for (int64_t i = 0; i < dv; ++i)
        out[static_cast<size_t>(a * dv + i)] += p[j] * past.values[j][static_cast<size_t>(a * dv + i)];
    }
  }
  Vector y = times(layer.o, out.data());
  if (!layer.o_bias.empty()) add_to(y, layer.o_bias);
  return y;
}

// deepseek_v2.md 4.1.
ReferenceModel::Route ReferenceModel::route(const Layer& layer, const Vector& x) const {
  const auto n_experts = static_cast<size_t>(config_.n_routed_experts);
  const auto k = static_cast<size_t>(config_.num_experts_per_tok);
  const Vector s = softmax(times(layer.router, x.data()));
  Vector allowed = s;
  double margin = std::numeric_limits<double>::infinity();
  if (config_.topk_method == TopkMethod::kGroupLimitedGreedy && mutation_ != Mutation::kNoGroupLimit) {
    const auto groups = static_cast<size_t>(config_.n_group);
    const auto kept = static_cast<size_t>(config_.topk_group);
    const auto group_of = [&](size_t e) { return e / (n_experts / groups); };
    const bool strided = mutation_ == Mutation::kGroupsStrided;
    std::vector<Vector> members(groups);
    for (size_t e = 0; e < n_experts; ++e) members[strided ? e % groups : group_of(e)].push_back(s[e]);
    Vector best;
    for (Vector& scores : members) {
      std::sort(scores.rbegin(), scores.rend());
      best.push_back(mutation_ == Mutation::kGroupTopTwoSum ? scores[0] + scores[1] : scores[0]);
    }
    const std::vector<int64_t> order = by_falling(best);
    if (kept < groups)
      margin = best[static_cast<size_t>(order[kept - 1])] - best[static_cast<size_t>(order[kept])];
    for (size_t e = 0; e < n_experts; ++e) {
      const auto chosen = std::find(order.begin(), order.begin() + static_cast<ptrdiff_t>(kept),
                                    static_cast<int64_t>(group_of(e)));
      if (chosen == order.begin() + static_cast<ptrdiff_t>(kept)) allowed[e] = -1.0;
    }
  }
  const std::vector<int64_t> order = by_falling(allowed);
  if (k < n_experts && allowed[static_cast<size_t>(order[k])] >= 0.0) {
    margin =
        std::min(margin, allowed[static_cast<size_t>(order[k - 1])] - allowed[static_cast<size_t>(order[k])]);
  }
  Route route{.margin = margin};
  double sum = 0.0;
  for (size_t i = 0; i < k; ++i) {
    route.experts.push_back(static_cast<int32_t>(order[i]));
    sum += allowed[static_cast<size_t>(order[i])];
  }
  const double factor = mutation_ == Mutation::kNoRoutedScaling ? 1.0 : config_.routed_scaling_factor;
  for (int32_t e : route.experts) {
    const double w = allowed[static_cast<size_t>(e)];
    if (config_.norm_topk_prob && k > 1) {
      route.weights.push_back(w / (sum + 1e-20));
    } else {
      route.weights.push_back((mutation_ == Mutation::kRenormalisedTopK ? w / sum : w) * factor);
    }
  }
  return route;
}

ReferenceModel::Vector ReferenceModel::swiglu(const Mlp& mlp, const Vector& x, bool swapped) const {
  Vector gate = times(swapped ? mlp.up : mlp.gate, x.data());
  const Vector up = times(swapped ? mlp.gate : mlp.up, x.data());
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1.0 + std::exp(-gate[i])) * up[i];
  return times(mlp.down, gate.data());
}

ReferenceModel::Vector ReferenceModel::feed_forward(const Layer& layer, const Vector& x,
                                                    Route* chosen) const {
  if (!layer.is_moe) return swiglu(layer.mlp, x, false);
  *chosen = route(layer, x);
  Vector y(x.size());
  for (size_t i = 0; i < chosen->experts.size(); ++i) {
    const Mlp& expert = layer.experts[static_cast<size_t>(chosen->experts[i])];
    add_to(y, swiglu(expert, x, mutation_ == Mutation::kGateUpSwapped), chosen->weights[i]);
  }
  if (layer.mlp.gate.rows > 0 && mutation_ != Mutation::kNoSharedExperts)
    add_to(y, swiglu(layer.mlp, x, false));
  return y;
}

ReferenceScores ReferenceModel::score(std::span<const TokenId> ids) const {
  ReferenceScores scores;
  scores.routes.resize(layers_.size());
  std::vector<Past> past(layers_.size());
  for (size_t t = 0; t < ids.size(); ++t) {
    const auto embedding = embed_.values.begin() + ids[t] * embed_.cols;
    Vector x(embedding, embedding + embed_.cols);
    double router_margin = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      Vector rope_key;
      add_to(x, attention(layer, norm(x.data(), layer.input_norm, eps_), static_cast<int64_t>(t), past[i],
                          &rope_key));
      if (i == 0) scores.rope_keys.push_back(rope_key);
      Route route;
      add_to(x, feed_forward(layer, norm(x.data(), layer.post_norm, eps_), &route));
      if (!layer.is_moe) continue;
      scores.routes[i].push_back(route.experts);
      router_margin = std::min(router_margin, route.margin);
    }
    Vector logits = times(head_, norm(x.data(), final_norm_, eps_).data());
    const std::vector<int64_t> order = by_falling(logits);
    const double best = logits[static_cast<size_t>(order[0])];
    scores.argmax.push_back(static_cast<TokenId>(order[0]));
    scores.margins.push_back(logits.size() > 1 ? best - logits[static_cast<size_t>(order[1])] : best);
    scores.router_margins.push_back(router_margin);
    scores.logits.push_back(std::move(logits));
  }
  scores.logprobs.resize(ids.size());
  for (size_t t = 1; t < ids.size(); ++t) {
    const Vector& logits = scores.logits[t - 1];
    const double max = *std::max_element(logits.begin(), logits.end());
    double sum = 0.0;
    for (double v : logits) sum += std::exp(v - max);
    scores.logprobs[t] = logits[static_cast<size_t>(ids[t])] - max - std::log(sum);
  }
  return scores;
}

}  // namespace fathom::engine
