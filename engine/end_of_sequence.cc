#include "engine/end_of_sequence.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace fathom::engine {
namespace {

TokenId checked_id(const nlohmann::json& value, int64_t vocab_size, const std::string& where) {
  if (!value.is_number_integer() || value.get<int64_t>() < 0 || value.get<int64_t>() >= vocab_size) {
    bad_input(where, "eos_token_id: expected ids in [0, {}), found {}", vocab_size, value.dump());
  }
  return value.get<TokenId>();
}

}  // namespace

std::vector<TokenId> end_of_sequence_ids(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const std::filesystem::path path = checkpoint.model_dir() / "generation_config.json";
  if (std::filesystem::exists(path)) {
    const nlohmann::json settings = parse_json(read_file(path), path.string());
    if (!settings.is_object()) bad_input(path.string(), "expected a JSON object");
    const auto eos = settings.find("eos_token_id");
    if (eos != settings.end() && !eos->is_null()) {
      std::vector<TokenId> ids;
      if (!eos->is_array()) return {checked_id(*eos, config.vocab_size, path.string())};
      for (const auto& id : *eos) ids.push_back(checked_id(id, config.vocab_size, path.string()));
      return ids;
    }
  }
  if (!config.eos_token_id) return {};
  return {static_cast<TokenId>(*config.eos_token_id)};
}

}  // namespace fathom::engine
