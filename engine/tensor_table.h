// The tensor table: every tensor a DeepSeek-V2 checkpoint has, once. It drives loading, checking, parameter
// counts and `fathom model info`; nothing else in the program knows a tensor's name or shape.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/config.h"
#include "engine/weights.h"

namespace fathom::engine {

/// What a tensor is part of, for counts.
enum class TensorGroup {
  kEmbedding,
  kAttention,
  kNorm,
  kDenseMlp,
  kRouter,
  kRoutedExperts,
  kSharedExperts,
  kHead
};
std::string_view tensor_group_name(TensorGroup group);

/// How a layer's routed experts are stored: one tensor per expert and matrix (every official checkpoint), or
/// two stacked tensors a layer (transformers 5 with save_original_format=False).
enum class ExpertLayout { kPerExpert, kStacked };

struct TensorRow {
  std::string_view name;   // {i}: layer, {e}: routed expert
  std::string_view shape;  // see engine/shape_expression.h
  TensorGroup group;
  bool (*exists)(const ModelConfig& config, int64_t layer);  // layer 0 for names without {i}
  void (*bind)(const Tensor& tensor, Weights& weights, int64_t layer, int64_t expert);
  std::optional<ExpertLayout> layout = std::nullopt;  // only where experts are stored this way
  std::string_view dtypes = "BF16 F16 F32";           // safetensors names that are accepted

  bool per_layer() const { return name.find("{i}") != std::string_view::npos; }
  /// Whether a quantised checkpoint may hold this matrix quantised (engine/quantization.h).
  bool may_be_quantised() const;
  bool per_expert() const { return name.find("{e}") != std::string_view::npos; }
};

std::span<const TensorRow> tensor_table();

/// The row's name for one layer and expert.
std::string tensor_name(const TensorRow& row, int64_t layer, int64_t expert);

/// Number of tensors of this row in a checkpoint of `config`.
int64_t tensor_count(const TensorRow& row, const ModelConfig& config);

/// Weights with every vector and optional in the shape that `config` asks for, all tensors still empty.
Weights empty_weights(const ModelConfig& config);

/// The name whose presence shows that layer `layer` is stored stacked.
std::string stacked_experts_marker(int64_t layer);

}  // namespace fathom::engine
