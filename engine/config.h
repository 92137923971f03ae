// ModelConfig: config.json of a DeepSeek-V2 checkpoint, checked.
//
// Field names are Hugging Face's config keys. Immutable after parse_config(); a config that reached this type
// is one the engine can compute exactly: everything else was refused with the key's name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "engine/quantization.h"

namespace fathom::engine {

enum class TopkMethod { kGreedy, kGroupLimitedGreedy };

/// rope_scaling / rope_parameters of type yarn. Absent mscale keys stay absent: their meaning differs from 0
/// (see yarn_attention_factor and softmax_scale).
struct YarnConfig {
  double factor = 1.0;
  int64_t original_max_position_embeddings = 0;
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  std::optional<double> mscale;
  std::optional<double> mscale_all_dim;
};

struct ModelConfig {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  std::optional<int64_t> q_lora_rank;  // absent: plain q_proj
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
  int64_t intermediate_size = 0;      // dense layers
  int64_t moe_intermediate_size = 0;  // one routed expert; the shared MLP is n_shared_experts times as wide
  int64_t n_routed_experts = 0;       // 0: every layer is dense
  int64_t n_shared_experts = 0;
  int64_t num_experts_per_tok = 0;
  int64_t first_k_dense_replace = 0;
  int64_t moe_layer_freq = 1;
  TopkMethod topk_method = TopkMethod::kGreedy;
  int64_t n_group = 1;
  int64_t topk_group = 1;
  bool norm_topk_prob = false;
  double routed_scaling_factor = 1.0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  std::optional<YarnConfig> yarn;  // absent: plain RoPE
  int64_t max_position_embeddings = 0;
  bool attention_bias = false;
  bool tie_word_embeddings = false;
  std::optional<Quantization> quantization;  // absent: no matrix is quantised
  std::optional<int64_t> bos_token_id;
  std::optional<int64_t> eos_token_id;

  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  /// Elements of the latent cache per token and layer: the normed latent and the rotated shared key.
  int64_t latent_dim() const { return kv_lora_rank + qk_rope_head_dim; }
  /// The original model's rule: MoE iff there are experts, i >= first_k_dense_replace and i % moe_layer_freq
  /// == 0.
  bool is_moe_layer(int64_t layer) const;
};

/// Parses the text of config.json, in the original hub layout or as transformers 5 writes it. Throws
/// Error{kBadInput} naming `where` and the key, what was expected and found.
ModelConfig parse_config(std::string_view json_text, const std::string& where);

/// parse_config of `model_dir`/config.json.
ModelConfig load_config(const std::filesystem::path& model_dir);

}  // namespace fathom::engine
