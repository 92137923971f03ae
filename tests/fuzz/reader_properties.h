// What must hold for any bytes given to the readers of untrusted files: they end in a value that keeps its
// promises, or in Error{kBadInput}; nothing else. Run by the libFuzzer targets here and by mutations in the
// ordinary tests.
#pragma once

#include <string_view>

#include "base/error.h"
#include "engine/checkpoint_files.h"
#include "engine/config.h"
#include "engine/model_geometry.h"
#include "engine/safetensors.h"
#include "engine/tokenizer.h"

namespace fathom::engine::fuzz {

/// Runs `read`; true when it succeeded, false when it ended in the one error a bad file may cause.
template <typename Read>
bool ends_in_bad_input_or_value(const Read& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    FATHOM_CHECK(error.kind() == ErrorKind::kBadInput && !error.where().empty(), "{}", error.what());
    return false;
  }
}

inline bool read_safetensors(std::string_view bytes) {
  return ends_in_bad_input_or_value([&] {
    const auto file = std::as_bytes(std::span(bytes));
    size_t data = 0;
    for (const SafetensorsEntry& entry : parse_safetensors(file, "fuzz.safetensors")) {
      FATHOM_CHECK(entry.data.empty() ||
                   (entry.data.data() >= file.data() &&
                    entry.data.data() + entry.data.size() <= file.data() + file.size()));
      data += entry.data.size();
    }
    FATHOM_CHECK(data <= bytes.size(), "{} of {}", data, bytes.size());
  });
}

inline bool read_config(std::string_view text) {
  return ends_in_bad_input_or_value([&] {
    const ModelConfig config = parse_config(text, "config.json");
    const ModelGeometry geometry = measure_geometry(config);
    FATHOM_CHECK(geometry.parameters > 0 && geometry.active_parameters <= geometry.parameters);
    FATHOM_CHECK(
        config.n_routed_experts == 0 ||
        (config.n_routed_experts % config.n_group == 0 &&
         config.num_experts_per_tok <= config.topk_group * config.n_routed_experts / config.n_group));
  });
}

inline bool read_weight_index(std::string_view text) {
  return ends_in_bad_input_or_value([&] {
    const WeightFiles files = parse_weight_index(text, "model.safetensors.index.json");
    for (const auto& [tensor, shard] : files.weight_map) FATHOM_CHECK(shard < files.shards.size());
    for (const std::string& name : files.shards) {
      FATHOM_CHECK(name.find('\0') == std::string::npos && name[0] != '/' && !name.starts_with("../"), "{}",
                   name);
    }
  });
}

/// tokenizer.json: what is accepted turns text into ids of the vocabulary that stand for bytes.
inline bool read_tokenizer(std::string_view text) {
  return ends_in_bad_input_or_value([&] {
    const Tokenizer tokenizer =
        Tokenizer::parse({.tokenizer_json = text, .tokenizer_config_json = "{}", .folder = "fuzz/"});
    static constexpr std::string_view kText = "the aber ab <bos> \r\n  12x\u00fc\u4e00\xff";
    size_t n_bytes = 0;
    for (const TokenId id : tokenizer.encode(kText)) {
      FATHOM_CHECK(id >= 0 && id < tokenizer.vocab_size(), "{} of {}", id, tokenizer.vocab_size());
      n_bytes += tokenizer.token_bytes(id).size();
    }
    FATHOM_CHECK(n_bytes > 0);
  });
}

}  // namespace fathom::engine::fuzz
