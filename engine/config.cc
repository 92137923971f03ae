// The reading rules of config.json. A key is either read here, listed as harmless below, or refused by name:
// a key nobody knows may change the mathematics, and then every number that follows would be wrong.
// Where the original model code and transformers disagree, the original decides (it made the checkpoints).
#include "engine/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/key_reader.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

// Bounds far above any model of the family. They keep every product of two dimensions inside int64 and a
// hostile config from asking for endless tables.
constexpr int64_t kMaxDimension = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxExperts = 4096;
constexpr int64_t kMaxPosition = int64_t{1} << 31;

// Defaults that the original code and transformers share.
constexpr int64_t kDefaultVocabSize = 102400;
constexpr int64_t kDefaultQLoraRank = 1536;
constexpr int64_t kDefaultMaxPosition = 2048;

// Keys that cannot change a logit at inference: where the file came from, how it was trained, how text used
// to be generated with it, what the library should return.
constexpr std::string_view kHarmlessKeys[] = {
    // origin
    "_commit_hash",
    "_name_or_path",
    "auto_map",
    "dtype",
    "name_or_path",
    "torch_dtype",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    // attention and expert implementations, memory
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_experts_implementation",
    "attn_implementation",
    "chunk_size_feed_forward",
    "ep_size",
    "gradient_checkpointing",
    "pretraining_tp",
    "torchscript",
    "use_bfloat16",
    "use_cache",
    // training
    "attention_dropout",
    "aux_loss_alpha",
    "initializer_range",
    "router_aux_loss_coef",
    "seq_aux",
    // what transformers returns, labels of classification heads
    "finetuning_task",
    "id2label",
    "label2id",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "problem_type",
    "return_dict",
    "task_specific_params",
    "tokenizer_class",
    // other tokens, and generation settings that old transformers wrote into config.json
    "bad_words_ids",
    "begin_suppress_tokens",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "is_decoder",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_scores",
    "pad_token_id",
    "prefix",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "temperature",
    "tie_encoder_decoder",
    "top_k",
    "top_p",
    "typical_p",
};

void check_architecture(KeyReader& keys) {
  if (keys.text_or("model_type", "") != "deepseek_v2") {
    keys.refuse("model_type", "\"deepseek_v2\" (fathom's engine computes no other architecture)");
  }
  if (!keys.absent("architectures")) {
    const json& value = *keys.find("architectures");
    if (value != json::array({"DeepseekV2ForCausalLM"}))
      keys.refuse("architectures", "[\"DeepseekV2ForCausalLM\"]");
  }
  keys.require_neutral("num_nextn_predict_layers", 0, "multi-token prediction belongs to DeepSeek-V3");
  keys.require_neutral("index_topk", nullptr, "sparse attention belongs to DeepSeek-V3.2");
  keys.require_neutral("rope_interleave", true, "DeepSeek-V2 stores rotary pairs interleaved");
  keys.require_neutral("mlp_bias", false, "DeepSeek-V2 has no biases in its MLPs");
  keys.require_neutral("is_encoder_decoder", false, "DeepSeek-V2 is a decoder");
  keys.require_neutral("add_cross_attention", false, "DeepSeek-V2 is a decoder");
  keys.require_neutral("cross_attention_hidden_size", nullptr, "DeepSeek-V2 is a decoder");
  keys.require_neutral("pruned_heads", json::object(), "all heads must be there");
  keys.require_neutral("moe_router_dtype", "float32", "the original router computes in float32");
  if (keys.text_or("hidden_act", "silu") != "silu") keys.refuse("hidden_act", "\"silu\"");
}

void read_dimensions(KeyReader& keys, ModelConfig& config) {
  config.vocab_size = keys.integer_or("vocab_size", 1, kMaxDimension, kDefaultVocabSize);
  config.hidden_size = keys.integer("hidden_size", 1, kMaxDimension);
  config.num_hidden_layers = keys.integer("num_hidden_layers", 1, kMaxLayers);
  config.num_attention_heads = keys.integer("num_attention_heads", 1, kMaxDimension);
  // Missing and null differ: missing is the default of both codes, null says "no compression".
  if (keys.find("q_lora_rank") == nullptr) {
    config.q_lora_rank = kDefaultQLoraRank;
  } else if (!keys.absent("q_lora_rank")) {
    config.q_lora_rank = keys.integer("q_lora_rank", 1, kMaxDimension);
  }
  config.kv_lora_rank = keys.integer("kv_lora_rank", 1, kMaxDimension);
  config.qk_nope_head_dim = keys.integer("qk_nope_head_dim", 1, kMaxDimension);
  config.qk_rope_head_dim = keys.integer("qk_rope_head_dim", 2, kMaxDimension);
  if (config.qk_rope_head_dim % 2 != 0) keys.refuse("qk_rope_head_dim", "an even number");
  config.v_head_dim = keys.integer("v_head_dim", 1, kMaxDimension);
  config.max_position_embeddings =
      keys.integer_or("max_position_embeddings", 1, kMaxPosition, kDefaultMaxPosition);
  config.rms_norm_eps = keys.optional_number("rms_norm_eps").value_or(1e-6);
  if (config.rms_norm_eps < 0) keys.refuse("rms_norm_eps", "a number >= 0");
  config.attention_bias = keys.boolean_or("attention_bias", false);
  config.tie_word_embeddings = keys.boolean_or("tie_word_embeddings", false);
  if (!keys.absent("num_key_value_heads") &&
      keys.integer("num_key_value_heads", 1, kMaxDimension) != config.num_attention_heads) {
    keys.refuse("num_key_value_heads", fmt::format("num_attention_heads, {}", config.num_attention_heads));
  }
  // Derived values that transformers 5 writes down: head_dim is the rotary part there, qk_head_dim the whole.
  keys.require_neutral("head_dim", config.qk_rope_head_dim, "qk_rope_head_dim");
  keys.require_neutral("qk_head_dim", config.qk_head_dim(), "qk_nope_head_dim + qk_rope_head_dim");
}

// A list of one id counts as that id.
std::optional<int64_t> read_token_id(KeyReader& keys, std::string_view key, int64_t vocab_size) {
  if (keys.absent(key)) return std::nullopt;
  const json& value = *keys.find(key);
  if (!value.is_array()) return keys.integer(key, 0, vocab_size - 1);
  if (value.size() != 1 || !value[0].is_number_integer()) keys.refuse(key, "one token id");
  const int64_t id = value[0].get<int64_t>();
  if (id < 0 || id >= vocab_size) keys.refuse(key, fmt::format("an id of 0..{}", vocab_size - 1));
  return id;
}

// n_group and topk_group belong to group-limited routing. Greedy routing has one group whatever they say: the
// original code looks at topk_method alone.
void read_routing(KeyReader& keys, ModelConfig& config) {
  const std::string method = keys.text_or("topk_method", "");
  const int64_t n_group = keys.integer_or("n_group", 1, config.n_routed_experts, 1);
  const bool has_topk_group = !keys.absent("topk_group");
  if (method == "group_limited_greedy") {
    if (keys.absent("n_group"))
      keys.refuse("n_group", "the number of expert groups (topk_method is group_limited_greedy)");
    if (!has_topk_group) keys.refuse("topk_group", "the number of groups that one token may use");
    config.topk_method = TopkMethod::kGroupLimitedGreedy;
    config.n_group = n_group;
    config.topk_group = keys.integer("topk_group", 1, n_group);
  } else if (method == "greedy" || ((method.empty() || method == "gready") && n_group == 1)) {
    // The original's default is the misspelt "gready"; with a single group it can only mean greedy.
    config.topk_method = TopkMethod::kGreedy;
    config.n_group = config.topk_group = 1;
  } else {
    const std::string_view whose = method == "noaux_tc" ? " (noaux_tc belongs to DeepSeek-V3)" : "";
    keys.refuse("topk_method", fmt::format("\"greedy\" or \"group_limited_greedy\"{}", whose));
  }
  if (config.n_routed_experts % config.n_group != 0) {
    keys.refuse("n_group", fmt::format("a divisor of n_routed_experts, {}", config.n_routed_experts));
  }
  const int64_t candidates = config.topk_group * (config.n_routed_experts / config.n_group);
  if (config.num_experts_per_tok > candidates) {
    keys.refuse("num_experts_per_tok",
                fmt::format("at most {}, the experts of topk_group groups", candidates));
  }
}

void read_experts(KeyReader& keys, ModelConfig& config) {
  // The original's default is "no experts", transformers' is 64: a missing key says nothing.
  if (keys.find("n_routed_experts") == nullptr)
    keys.refuse("n_routed_experts", "a number of experts, or null for none");
  config.n_routed_experts = keys.integer_or("n_routed_experts", 1, kMaxExperts, 0);
  config.first_k_dense_replace = keys.integer_or("first_k_dense_replace", 0, kMaxLayers, 0);
  config.moe_layer_freq = keys.integer_or("moe_layer_freq", 1, kMaxLayers, 1);
  config.n_shared_experts = keys.integer_or("n_shared_experts", 0, kMaxExperts, 0);
  config.norm_topk_prob = keys.boolean_or("norm_topk_prob", false);
  config.routed_scaling_factor = keys.optional_number("routed_scaling_factor").value_or(1.0);
  if (keys.text_or("scoring_func", "softmax") != "softmax") {
    keys.refuse("scoring_func", "\"softmax\" (sigmoid belongs to DeepSeek-V3)");
  }
  bool any_moe = false;
  bool any_dense = false;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer)
    (config.is_moe_layer(layer) ? any_moe : any_dense) = true;
  if (any_dense || !keys.absent("intermediate_size")) {
    config.intermediate_size = keys.integer("intermediate_size", 1, kMaxDimension);
  }
  if (any_moe || !keys.absent("moe_intermediate_size")) {
    config.moe_intermediate_size = keys.integer("moe_intermediate_size", 1, kMaxDimension);
  }
  if (config.n_routed_experts > 0) {
    config.num_experts_per_tok = keys.integer("num_experts_per_tok", 1, config.n_routed_experts);
    read_routing(keys, config);
  } else {
    for (std::string_view unused : {"num_experts_per_tok", "topk_method", "n_group", "topk_group"})
      keys.find(unused);
  }
}

YarnConfig read_yarn(KeyReader& keys) {
  YarnConfig yarn;
  yarn.factor = keys.number("factor");
  if (yarn.factor < 1) keys.refuse("factor", "a number >= 1");
  // transformers falls back to max_position_embeddings, which makes YaRN do nothing: never what was meant.
  yarn.original_max_position_embeddings = keys.integer("original_max_position_embeddings", 1, kMaxPosition);
  yarn.beta_fast = keys.optional_number("beta_fast").value_or(32.0);
  yarn.beta_slow = keys.optional_number("beta_slow").value_or(1.0);
  if (yarn.beta_slow <= 0) keys.refuse("beta_slow", "a number > 0");
  if (yarn.beta_fast < yarn.beta_slow) keys.refuse("beta_fast", "a number >= beta_slow");
  yarn.mscale = keys.optional_number("mscale");
  yarn.mscale_all_dim = keys.optional_number("mscale_all_dim");
  // transformers reads these two, the original code does not know them.
  keys.require_neutral("attention_factor", nullptr, "DeepSeek-V2 derives it from mscale");
  keys.require_neutral("truncate", true, "DeepSeek-V2 rounds the correction range");
  return yarn;
}

struct Rope {
  std::optional<YarnConfig> yarn;
  std::optional<double> theta;
};

// One rope_scaling (hub layout) or rope_parameters (transformers 5) object.
Rope read_rope_object(KeyReader& parent, std::string_view name) {
  const json& object = *parent.find(name);
  if (!object.is_object()) parent.refuse(name, "an object or null");
  KeyReader keys(object, parent.where(), std::string(name) + ".");
  Rope rope;
  rope.theta = keys.optional_number("rope_theta");
  const std::string old_type = keys.text_or("type", "");
  const std::string type = keys.text_or("rope_type", old_type);
  keys.require_neutral("partial_rotary_factor", 1, "all of qk_rope_head_dim is rotated");
  if (type == "yarn") {
    rope.yarn = read_yarn(keys);
  } else if (!type.empty() && type != "default") {
    keys.refuse(keys.absent("rope_type") ? "type" : "rope_type", "\"yarn\" or \"default\"");
  }
  keys.require_all_known({});
  return rope;
}

bool same_yarn(const std::optional<YarnConfig>& a, const std::optional<YarnConfig>& b) {
  const auto tie = [](const YarnConfig& y) {
    return std::tie(y.factor, y.original_max_position_embeddings, y.beta_fast, y.beta_slow, y.mscale,
                    y.mscale_all_dim);
  };
  return a.has_value() == b.has_value() && (!a || tie(*a) == tie(*b));
}

void read_rope(KeyReader& keys, ModelConfig& config) {
  std::optional<double> theta = keys.optional_number("rope_theta");
  std::optional<Rope> rope;
  for (std::string_view name : {"rope_scaling", "rope_parameters"}) {
    if (keys.absent(name)) continue;
    const Rope found = read_rope_object(keys, name);
    if (rope && !same_yarn(rope->yarn, found.yarn)) keys.refuse(name, "the same scaling as rope_scaling");
    if (theta && found.theta && *theta != *found.theta) {
      bad_input(keys.where(),
                "key \"{}.rope_theta\": expected the other rope_theta of this file, {}, found {}", name,
                *theta, *found.theta);
    }
    if (found.theta) theta = found.theta;
    rope = found;
  }
  config.rope_theta = theta.value_or(10000.0);
  if (config.rope_theta <= 1)
    bad_input(keys.where(), "key \"rope_theta\": expected a number > 1, found {}", config.rope_theta);
  if (rope) config.yarn = rope->yarn;
}

}  // namespace

bool ModelConfig::is_moe_layer(int64_t layer) const {
  return n_routed_experts > 0 && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
}

ModelConfig parse_config(std::string_view json_text, const std::string& where) {
  const json object = parse_json(json_text, where);
  if (!object.is_object()) bad_input(where, "expected a JSON object, found {}", object.type_name());
  KeyReader keys(object, where);
  ModelConfig config;
  check_architecture(keys);
  read_dimensions(keys, config);
  read_experts(keys, config);
  read_rope(keys, config);
  if (!keys.absent("quantization_config")) config.quantization = read_quantization(keys);
  config.bos_token_id = read_token_id(keys, "bos_token_id", config.vocab_size);
  config.eos_token_id = read_token_id(keys, "eos_token_id", config.vocab_size);
  keys.require_all_known(kHarmlessKeys);
  return config;
}

ModelConfig load_config(const std::filesystem::path& model_dir) {
  const std::filesystem::path path = model_dir / "config.json";
  return parse_config(read_file(path), path.string());
}

}  // namespace fathom::engine
