#include "engine/verified_kernels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace fathom::engine {
namespace {

std::string text(const kernels::MatrixShape& shape) {
  return fmt::format("{}x{}", shape.outputs, shape.inputs);
}

std::string texts(const std::vector<kernels::MatrixShape>& shapes) {
  std::vector<std::string> parts;
  for (const kernels::MatrixShape& shape : shapes) parts.push_back(text(shape));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<kernels::MatrixShape> library_shapes(const Weights& weights) {
  std::vector<kernels::MatrixShape> shapes;
  const auto add = [&shapes](const Tensor& weight, const Tensor& bias = {}) {
    if (weight.data == nullptr || weight.dtype != kernels::Dtype::kBF16 || bias.data != nullptr) return;
    const kernels::MatrixShape shape{.outputs = weight.shape[0], .inputs = weight.shape[1]};
    if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) shapes.push_back(shape);
  };
  const auto add_mlp = [&add](const MlpWeights& mlp) {
    add(mlp.gate_proj);
    add(mlp.up_proj);
    add(mlp.down_proj);
  };
  for (const LayerWeights& layer : weights.layers) {
    const AttentionWeights& attention = layer.self_attn;
    add(attention.q_proj);
    add(attention.q_a_proj, attention.q_a_proj_bias);
    add(attention.q_b_proj);
    add(attention.kv_a_proj_with_mqa, attention.kv_a_proj_with_mqa_bias);
    add(attention.o_proj, attention.o_proj_bias);
    if (layer.mlp) add_mlp(*layer.mlp);
    if (layer.moe && layer.moe->shared_experts) add_mlp(*layer.moe->shared_experts);
  }
  return shapes;
}

std::optional<std::string> library_identity(const kernels::LibraryReport& report) {
  if (report.proven.empty()) return std::nullopt;
  return fmt::format("{} for {}", report.library, texts(report.proven));
}

std::vector<std::string> library_sentences(const kernels::LibraryReport& report) {
  if (report.library.empty()) return {fmt::format("our own kernels compute everything: {}", report.why_not)};
  std::vector<std::string> sentences;
  if (!report.proven.empty()) {
    sentences.push_back(
        fmt::format("{} computes products with {}: a row's bits are the same for every number of rows",
                    report.library, texts(report.proven)));
  }
  for (const auto& [shape, reason] : report.refused) {
    sentences.push_back(
        fmt::format("our own kernels compute products with {}: {}: {}", text(shape), report.library, reason));
  }
  return sentences;
}

}  // namespace fathom::engine
