#include "tests/engine/golden_weights.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace fathom::engine::golden {
namespace {

using kernels::Dtype;
using nlohmann::json;

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

uint64_t splitmix64(uint64_t z) {
  z += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

uint16_t to_f16(float value) {
  return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
}

std::string encode(const std::vector<float>& values, Dtype dtype) {
  std::string bytes(values.size() * kernels::dtype_bytes(dtype), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == Dtype::kF32) {
      std::memcpy(&bytes[4 * i], &values[i], 4);
    } else {
      const uint16_t half = dtype == Dtype::kBF16 ? to_bf16(values[i]) : to_f16(values[i]);
      std::memcpy(&bytes[2 * i], &half, 2);
    }
  }
  return bytes;
}

// Collects tensors with golden values.
class Builder {
 public:
  Builder(const json& config, const Format& format) : config_(config), format_(format) {}
  std::vector<NamedTensor> tensors;

  int64_t operator[](const char* key) const { return config_.at(key).get<int64_t>(); }

  void add(const std::string& name, const std::vector<int64_t>& shape) {
    const Dtype dtype = name.ends_with("mlp.gate.weight") ? format_.gate_dtype : format_.dtype;
    add_values(name, shape, values(name, product(shape)), dtype);
  }

  void add_mlp(const std::string& prefix, int64_t width) {
    add(prefix + ".gate_proj.weight", {width, (*this)["hidden_size"]});
    add(prefix + ".up_proj.weight", {width, (*this)["hidden_size"]});
    add(prefix + ".down_proj.weight", {(*this)["hidden_size"], width});
  }

  void add_stacked_experts(const std::string& prefix) {
    const int64_t h = (*this)["hidden_size"], m = (*this)["moe_intermediate_size"],
                  n = (*this)["n_routed_experts"];
    std::vector<float> gate_up, down;
    const auto append = [](std::vector<float>& all, const std::vector<float>& more) {
      all.insert(all.end(), more.begin(), more.end());
    };
    for (int64_t e = 0; e < n; ++e) {
      const std::string expert = fmt::format("{}.{}.", prefix, e);
      append(gate_up, values(expert + "gate_proj.weight", m * h));
      append(gate_up, values(expert + "up_proj.weight", m * h));
      append(down, values(expert + "down_proj.weight", h * m));
    }
    add_values(prefix + ".gate_up_proj", {n, 2 * m, h}, gate_up, format_.dtype);
    add_values(prefix + ".down_proj", {n, h, m}, down, format_.dtype);
  }

 private:
  static int64_t product(const std::vector<int64_t>& shape) {
    int64_t n = 1;
    for (int64_t dimension : shape) n *= dimension;
    return n;
  }
  void add_values(const std::string& name, const std::vector<int64_t>& shape,
                  const std::vector<float>& numbers, Dtype dtype) {
    tensors.push_back({name, std::string(kernels::dtype_name(dtype)), shape, encode(numbers, dtype)});
  }

  const json& config_;
  const Format& format_;
};

void add_attention(Builder& b, const std::string& attention, const json& config) {
  const int64_t h = b["hidden_size"], heads = b["num_attention_heads"], rk = b["kv_lora_rank"];
  const int64_t dn = b["qk_nope_head_dim"], dr = b["qk_rope_head_dim"], dv = b["v_head_dim"];
  const bool bias = config.value("attention_bias", false);
  if (config.at("q_lora_rank").is_null()) {
    b.add(attention + "q_proj.weight", {heads * (dn + dr), h});
  } else {
    const int64_t rq = b["q_lora_rank"];
    b.add(attention + "q_a_proj.weight", {rq, h});
    if (bias) b.add(attention + "q_a_proj.bias", {rq});
    b.add(attention + "q_a_layernorm.weight", {rq});
    b.add(attention + "q_b_proj.weight", {heads * (dn + dr), rq});
  }
  b.add(attention + "kv_a_proj_with_mqa.weight", {rk + dr, h});
  if (bias) b.add(attention + "kv_a_proj_with_mqa.bias", {rk + dr});
  b.add(attention + "kv_a_layernorm.weight", {rk});
  b.add(attention + "kv_b_proj.weight", {heads * (dn + dv), rk});
  b.add(attention + "o_proj.weight", {h, heads * dv});
  if (bias) b.add(attention + "o_proj.bias", {h});
}

void add_mlp(Builder& b, const std::string& mlp, int64_t layer, const json& config, const Format& format) {
  const bool is_moe = !config.at("n_routed_experts").is_null() && layer >= b["first_k_dense_replace"] &&
                      layer % config.value("moe_layer_freq", 1) == 0;
  if (!is_moe) return b.add_mlp(mlp, b["intermediate_size"]);
  const int64_t n_experts = b["n_routed_experts"], m = b["moe_intermediate_size"];
  b.add(mlp + ".gate.weight", {n_experts, b["hidden_size"]});
  if (format.stacked_experts) {
    b.add_stacked_experts(mlp + ".experts");
  } else {
    for (int64_t e = 0; e < n_experts; ++e) b.add_mlp(fmt::format("{}.experts.{}", mlp, e), m);
  }
  const json& shared = config.at("n_shared_experts");
  if (!shared.is_null() && shared != 0) b.add_mlp(mlp + ".shared_experts", shared.get<int64_t>() * m);
}

}  // namespace

json config(char which) {
  json c = {{"architectures", json::array({"DeepseekV2ForCausalLM"})},
            {"model_type", "deepseek_v2"},
            {"vocab_size", 128},
            {"hidden_size", 64},
            {"num_hidden_layers", 3},
            {"num_attention_heads", 4},
            {"num_key_value_heads", 4},
            {"q_lora_rank", 24},
            {"kv_lora_rank", 32},
            {"qk_nope_head_dim", 16},
            {"qk_rope_head_dim", 8},
            {"v_head_dim", 16},
            {"intermediate_size", 96},
            {"moe_intermediate_size", 48},
            {"n_routed_experts", 16},
            {"n_shared_experts", 2},
            {"num_experts_per_tok", 3},
            {"first_k_dense_replace", 1},
            {"moe_layer_freq", 1},
            {"topk_method", "group_limited_greedy"},
            {"n_group", 4},
            {"topk_group", 2},
            {"scoring_func", "softmax"},
            {"norm_topk_prob", false},
            {"routed_scaling_factor", 16.0},
            {"hidden_act", "silu"},
            {"rms_norm_eps", 1e-6},
            {"rope_theta", 10000},
            {"rope_scaling",
             {{"type", "yarn"},
              {"factor", 40},
              {"original_max_position_embeddings", 4096},
              {"beta_fast", 32},
              {"beta_slow", 1},
              {"mscale", 0.707},
              {"mscale_all_dim", 0.707}}},
            {"max_position_embeddings", 163840},
            {"attention_bias", false},
            {"attention_dropout", 0.0},
            {"tie_word_embeddings", false},
            {"bos_token_id", 0},
            {"eos_token_id", 1},
            {"torch_dtype", "float32"}};
  if (which == 'B') {
    c.update({{"q_lora_rank", nullptr}, {"topk_method", "greedy"}, {"n_group", 1}, {"topk_group", 1}});
    c.update({{"routed_scaling_factor", 1.0}, {"v_head_dim", 24}});
  } else if (which == 'C') {
    c.update(
        {{"first_k_dense_replace", 0}, {"n_shared_experts", 1}, {"qk_rope_head_dim", 16}, {"topk_group", 1}});
    c.update({{"num_experts_per_tok", 2}, {"max_position_embeddings", 128}});
    c["rope_scaling"].update({{"factor", 4}, {"original_max_position_embeddings", 32}, {"mscale", 1.0}});
    c["rope_scaling"]["mscale_all_dim"] = 1.0;
  } else if (which == 'D') {
    c["rope_scaling"]["mscale"] = 1.0;
  } else {
    EXPECT_EQ(which, 'A') << "no such golden configuration";
  }
  return c;
}

std::vector<TokenId> input_ids(int64_t n) {
  std::vector<TokenId> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>((7 * i * i + 3 * i + 1) % 128));
  return ids;
}

std::vector<float> values(std::string_view name, int64_t n) {
  const uint64_t seed = fnv1a(name);
  const bool norm = name.find("norm") != std::string_view::npos;
  const bool embed = name.find("embed") != std::string_view::npos;
  const double scale = norm ? 0.25 : name.ends_with("mlp.gate.weight") ? 0.5 : embed ? 1.0 : 0.25;
  std::vector<float> numbers(n);
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t z = splitmix64(seed + static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15);
    const double u = static_cast<double>(z >> 40) / 8388608.0 - 1.0;
    numbers[i] = static_cast<float>((norm ? 1.0 : 0.0) + scale * u);
  }
  return numbers;
}

std::vector<NamedTensor> tensors(const json& config, const Format& format) {
  Builder b(config, format);
  const int64_t h = b["hidden_size"];
  b.add("model.embed_tokens.weight", {b["vocab_size"], h});
  for (int64_t i = 0; i < b["num_hidden_layers"]; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    b.add(layer + "input_layernorm.weight", {h});
    add_attention(b, layer + "self_attn.", config);
    b.add(layer + "post_attention_layernorm.weight", {h});
    add_mlp(b, layer + "mlp", i, config, format);
  }
  b.add("model.norm.weight", {h});
  if (!config.value("tie_word_embeddings", false)) b.add("lm_head.weight", {b["vocab_size"], h});
  return std::move(b.tensors);
}

std::string safetensors_bytes(const std::vector<NamedTensor>& tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const NamedTensor& tensor : tensors) {
    const size_t begin = data.size();
    data += tensor.bytes;
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t length = text.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + text + data;
}

void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  // Some file systems flush a file that is truncated and rewritten, which makes thousands of rewrites slow.
  std::filesystem::remove(path);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(file.flush().good()) << path;
}

void write_checkpoint(const std::filesystem::path& folder, const json& config,
                      const std::vector<NamedTensor>& tensors, int n_shards) {
  std::filesystem::create_directories(folder);
  write_bytes(folder / "config.json", config.dump(2));
  if (n_shards == 1) return write_bytes(folder / "model.safetensors", safetensors_bytes(tensors));
  json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", json::object()}};
  uint64_t total = 0;
  for (int s = 0; s < n_shards; ++s) {
    const std::string name = fmt::format("model-{:05}-of-{:06}.safetensors", s + 1, n_shards);
    const std::vector<NamedTensor> part(
        tensors.begin() + static_cast<int64_t>(tensors.size()) * s / n_shards,
        tensors.begin() + static_cast<int64_t>(tensors.size()) * (s + 1) / n_shards);
    for (const NamedTensor& tensor : part) {
      index["weight_map"][tensor.name] = name;
      total += tensor.bytes.size();
    }
    write_bytes(folder / name, safetensors_bytes(part));
  }
  index["metadata"]["total_size"] = total;
  write_bytes(folder / "model.safetensors.index.json", index.dump(2));
}

void write_checkpoint(const std::filesystem::path& folder, char which, const Format& format, int n_shards) {
  const json c = config(which);
  write_checkpoint(folder, c, tensors(c, format), n_shards);
}

}  // namespace fathom::engine::golden
