#include "engine/tokenizer_config.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "engine/json_checks.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

const AddedToken* find_token(const std::vector<AddedToken>& tokens, std::string_view content) {
  const auto found =
      std::find_if(tokens.begin(), tokens.end(), [&](const AddedToken& t) { return t.content == content; });
  return found == tokens.end() ? nullptr : &*found;
}

// Absent and null mean the same here.
const json* find_value(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::optional<bool> optional_bool(const json& object, const char* key, const std::string& where) {
  if (find_value(object, key) == nullptr) return std::nullopt;
  return require_bool(object, key, where);
}

// A token named as "text" or as {"content": "text", ...}. transformers would add one that tokenizer.json
// lacks.
std::string token_content(const json& value, const char* key, const std::vector<AddedToken>& tokens,
                          const std::string& where) {
  if (!value.is_string() && !value.is_object()) {
    bad_input(where, "{} is {}; expected a string or an object with \"content\"", key, shown(value));
  }
  const std::string& content = value.is_string() ? value.get_ref<const std::string&>()
                                                 : require_string(value, "content", where + ": " + key);
  if (find_token(tokens, content) == nullptr) {
    bad_input(where, "{} is {}, which is not among the added tokens of tokenizer.json", key,
              json_quoted(content));
  }
  return content;
}

std::optional<std::string> optional_token(const json& object, const char* key,
                                          const std::vector<AddedToken>& tokens, const std::string& where) {
  const json* value = find_value(object, key);
  if (value == nullptr) return std::nullopt;
  return token_content(*value, key, tokens, where);
}

// Every list of further tokens, under its names in different versions of transformers.
void check_special_token_lists(const json& object, const std::vector<AddedToken>& tokens,
                               const std::string& where) {
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const json* value = find_value(object, key);
    if (value == nullptr) continue;
    for (const json& token : *value) token_content(token, key, tokens, where);
  }
}

// added_tokens_decoder repeats tokenizer.json's added tokens by id; where they differ, transformers follows
// it.
void check_added_tokens_decoder(const json& object, const std::vector<AddedToken>& tokens,
                                const std::string& where) {
  const json* decoder = find_value(object, "added_tokens_decoder");
  if (decoder == nullptr) return;
  for (const auto& [id, spec] : decoder->items()) {
    const std::string spec_where = fmt::format("{}: added_tokens_decoder[{}]", where, json_quoted(id));
    const std::string& content = require_string(spec, "content", spec_where);
    const AddedToken* token = find_token(tokens, content);
    if (token == nullptr || std::to_string(token->id) != id) {
      bad_input(spec_where, "{} is not the added token with this id in tokenizer.json", json_quoted(content));
    }
    const json expected = {{"special", token->special},
                           {"normalized", token->normalized},
                           {"single_word", false},
                           {"lstrip", false},
                           {"rstrip", false}};
    for (const auto& [key, value] : expected.items()) {
      if (spec.value(key, value) != value) {
        bad_input(spec_where, "{} is {}, but tokenizer.json says {}", key, shown(spec[key]), value.dump());
      }
    }
  }
}

// Absent add_bos_token: transformers 4's Llama tokenizers, whose name the family's checkpoints bear, default
// to true; other classes follow the post-processor.
std::optional<bool> parse_add_bos_token(const json& object, const std::string& where) {
  if (const std::optional<bool> given = optional_bool(object, "add_bos_token", where)) return given;
  const json* tokenizer_class = find_value(object, "tokenizer_class");
  if (tokenizer_class != nullptr &&
      (*tokenizer_class == "LlamaTokenizerFast" || *tokenizer_class == "LlamaTokenizer")) {
    return true;
  }
  return std::nullopt;
}

// A string, or a list of {"name", "template"} of which "default" counts.
std::optional<std::string> parse_chat_template(const json& object, const std::string& where) {
  const json* value = find_value(object, "chat_template");
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  if (!value->is_array()) bad_input(where, "chat_template is {}; expected a string or a list", shown(*value));
  for (const json& item : *value) {
    if (require_string(item, "name", where + ": chat_template") == "default") {
      return require_string(item, "template", where + ": chat_template");
    }
  }
  bad_input(where, "chat_template is a list without one named \"default\"");
}

}  // namespace

TokenizerConfig parse_tokenizer_config(std::string_view text, const std::vector<AddedToken>& added_tokens,
                                       const std::string& where) {
  const json object = parse_json(text, where);
  if (!object.is_object()) bad_input(where, "expected a JSON object, found {}", object.type_name());
  if (optional_bool(object, "add_eos_token", where).value_or(false)) {
    bad_input(where, "add_eos_token is true; prompts that end with EOS are not supported");
  }
  if (optional_bool(object, "clean_up_tokenization_spaces", where).value_or(false)) {
    bad_input(
        where,
        "clean_up_tokenization_spaces is true: it would change decoded text and is not supported; set it to "
        "false as the family's checkpoints do");
  }
  for (const char* key : {"pad_token", "unk_token", "cls_token", "sep_token", "mask_token"}) {
    optional_token(object, key, added_tokens, where);
  }
  check_special_token_lists(object, added_tokens, where);
  check_added_tokens_decoder(object, added_tokens, where);

  TokenizerConfig config;
  config.add_bos_token = parse_add_bos_token(object, where);
  config.bos_token = optional_token(object, "bos_token", added_tokens, where);
  config.eos_token = optional_token(object, "eos_token", added_tokens, where);
  config.chat_template = parse_chat_template(object, where);
  return config;
}

}  // namespace fathom::engine
