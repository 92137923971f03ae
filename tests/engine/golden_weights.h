// Tiny deterministic checkpoints for tests: weights that anyone can recompute without Python, four
// configurations that cover the branches of the model, and a safetensors writer.
//
// A value depends on its tensor's checkpoint name and its index alone: seed = FNV-1a 64 of the name, z =
// splitmix64 of (seed + i * golden ratio), u = (z >> 40) / 2^23 - 1 in [-1, 1); then 1 + u/4 for norms, u/2
// for routers, u for the embedding and u/4 elsewhere. Stacked experts hold the values of the per-expert
// names. The list of tensors is written here by hand and not taken from the engine's table, which it tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/token.h"
#include "kernels/tensor.h"

namespace fathom::engine::golden {

/// config.json of configuration 'A' (q compression, group-limited routing), 'B' (plain q, greedy, v_head_dim
/// 24), 'C' (no dense layer, positions beyond the original length) or 'D' (mscale != mscale_all_dim), in the
/// hub layout.
nlohmann::json config(char which);

/// (7 i^2 + 3 i + 1) mod 128 for i = 0..n-1: the input of the golden logits.
std::vector<TokenId> input_ids(int64_t n);

/// The `n` values of the tensor called `name`.
std::vector<float> values(std::string_view name, int64_t n);

/// A tensor ready to be written. `dtype` is a safetensors name; `bytes` need not match `shape` (tests of
/// errors).
struct NamedTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

struct Format {
  kernels::Dtype dtype = kernels::Dtype::kF32;
  kernels::Dtype gate_dtype = kernels::Dtype::kF32;  // of mlp.gate.weight, which transformers 5 keeps in F32
  bool stacked_experts = false;
};

/// Every tensor of a checkpoint with this config, values as above, rounded to nearest-even.
std::vector<NamedTensor> tensors(const nlohmann::json& config, const Format& format);

/// One safetensors file, data in the order given, header padded to 8 bytes.
std::string safetensors_bytes(const std::vector<NamedTensor>& tensors);

/// Writes `bytes` to `path`.
void write_bytes(const std::filesystem::path& path, std::string_view bytes);

/// Writes config.json and model.safetensors, or `n_shards` > 1 files named as DeepSeek names them (five
/// digits "of" six) with their index.
void write_checkpoint(const std::filesystem::path& folder, const nlohmann::json& config,
                      const std::vector<NamedTensor>& tensors, int n_shards = 1);

/// The common case: the golden checkpoint of configuration `which`.
void write_checkpoint(const std::filesystem::path& folder, char which, const Format& format = {},
                      int n_shards = 1);

}  // namespace fathom::engine::golden
