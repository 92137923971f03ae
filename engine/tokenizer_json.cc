#include "engine/tokenizer_json.h"

#include <bit>
#include <functional>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/json_lines.h"
#include "engine/byte_level.h"
#include "engine/json_checks.h"
#include "engine/tokenizer_json_reader.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

// From token text to id: open addressing over the vocabulary's strings. (std::unordered_map takes about three
// times as long for the 400,000 operations of a load.)
class TokenIndex {
 public:
  explicit TokenIndex(const std::vector<std::string>& texts)
      : texts_(texts), slots_(std::bit_ceil(2 * texts.size() + 2), -1) {}

  /// Returns whether the text was new.
  bool insert(TokenId id) {
    TokenId& slot = slots_[slot_of(texts_[static_cast<size_t>(id)])];
    return slot < 0 ? (slot = id, true) : false;
  }
  /// -1 when there is no such token.
  TokenId find(std::string_view text) const { return slots_[slot_of(text)]; }

 private:
  size_t slot_of(std::string_view text) const {
    size_t slot = std::hash<std::string_view>()(text) & (slots_.size() - 1);
    while (slots_[slot] >= 0 && texts_[static_cast<size_t>(slots_[slot])] != text)
      slot = (slot + 1) & (slots_.size() - 1);
    return slot;
  }

  const std::vector<std::string>& texts_;
  std::vector<TokenId> slots_;
};

// The ids must be 0, 1, ... without a gap: the reference numbers added tokens by the size of the vocabulary.
std::vector<std::string> token_texts(std::vector<RawTokenizerJson::Entry> entries, const std::string& where) {
  if (entries.empty()) bad_input(where, "model.vocab is missing or empty");
  if (entries.size() > INT32_MAX / 2) bad_input(where, "model.vocab has {} tokens", entries.size());
  std::vector<std::string> texts(entries.size());
  for (RawTokenizerJson::Entry& entry : entries) {
    if (entry.text.empty()) bad_input(where, "model.vocab: token {} has no text", entry.id);
    if (entry.id < 0 || entry.id >= static_cast<int64_t>(texts.size())) {
      bad_input(where, "model.vocab: {} has id {}; expected the {} ids from 0 to {}, each once",
                json_quoted(entry.text), entry.id, texts.size(), texts.size() - 1);
    }
    std::string& text = texts[static_cast<size_t>(entry.id)];
    if (!text.empty())
      bad_input(where, "model.vocab: id {} stands for {} and {}", entry.id, json_quoted(text),
                json_quoted(entry.text));
    text = std::move(entry.text);
  }
  return texts;
}

TokenIndex index_of(const std::vector<std::string>& texts, const std::string& where) {
  TokenIndex index(texts);
  for (size_t id = 0; id < texts.size(); ++id) {
    if (!index.insert(static_cast<TokenId>(id)))
      bad_input(where, "model.vocab: {} appears twice", json_quoted(texts[id]));
  }
  return index;
}

std::vector<Merge> resolve_merges(const RawTokenizerJson& raw, const TokenIndex& index,
                                  const std::string& where) {
  std::vector<Merge> merges;
  merges.reserve(raw.merges.size());
  auto id_of = [&](uint32_t begin, uint32_t end) {
    const std::string_view text = std::string_view(raw.merge_texts).substr(begin, end - begin);
    const TokenId id = index.find(text);
    if (id < 0)
      bad_input(where, "model.merges[{}]: {} is no token of model.vocab", merges.size(), json_quoted(text));
    return id;
  };
  for (const auto& [begin, middle, end] : raw.merges) {
    merges.push_back({id_of(begin, middle), id_of(middle, end), id_of(begin, end)});
  }
  return merges;
}

// null and "" mean the same for these keys of the model.
void require_no_affix(const json& model, const char* key, const std::string& where) {
  const json value = model.value(key, json());
  if (value.is_null() || value == "") return;
  bad_input(where, "{} is {}; only null is supported", key, shown(value));
}

bool parse_ignore_merges(const json& model, const std::string& where) {
  require_known_keys(model,
                     {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                      "fuse_unk", "byte_fallback", "ignore_merges"},
                     where);
  require_value(model, "type", "BPE", where);
  for (const char* key : {"dropout", "unk_token"}) {
    if (model.contains(key)) require_value(model, key, nullptr, where);
  }
  require_no_affix(model, "continuing_subword_prefix", where);
  require_no_affix(model, "end_of_word_suffix", where);
  // fuse_unk only says what happens to unknown characters; byte_tokens() makes sure that there are none.
  if (model.contains("byte_fallback")) require_value(model, "byte_fallback", false, where);
  return model.contains("ignore_merges") && require_bool(model, "ignore_merges", where);
}

// Added tokens get the ids that `tokenizers` gives them on loading: that of a vocabulary token with the same
// text, else the next free one.
std::vector<AddedToken> parse_added_tokens(const json& spec, const TokenIndex& index, size_t vocabulary_size,
                                           const std::string& where) {
  if (!spec.is_array()) bad_input(where, "expected an array, found {}", spec.type_name());
  std::vector<AddedToken> tokens;
  std::unordered_set<std::string_view> seen;
  auto next = static_cast<TokenId>(vocabulary_size);
  for (const json& item : spec) {
    const std::string item_where = fmt::format("{}[{}]", where, tokens.size());
    const std::string& content = require_string(item, "content", item_where);
    require_known_keys(item, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"},
                       item_where);
    if (content.empty()) bad_input(item_where, "content is empty");
    for (const char* key : {"single_word", "lstrip", "rstrip"}) require_value(item, key, false, item_where);
    if (!seen.insert(content).second) bad_input(item_where, "{} appears twice", json_quoted(content));
    const TokenId known = index.find(content);
    const TokenId id = known >= 0 ? known : next++;
    require_value(item, "id", id, item_where);
    tokens.push_back({id, content, require_bool(item, "special", item_where),
                      require_bool(item, "normalized", item_where)});
  }
  return tokens;
}

// TemplateProcessing as transformers writes it for add_bos_token: [BOS, A] or [A].
std::optional<TokenId> parse_template(const json& spec, const std::string& where) {
  require_known_keys(spec, {"type", "single", "pair", "special_tokens"}, where);
  const json& single = require_key(spec, "single", where);
  const json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  if (single == json::array({sequence})) return std::nullopt;
  if (!single.is_array() || single.size() != 2 || single[1] != sequence ||
      !single[0].contains("SpecialToken")) {
    bad_input(where, "single is {}; only a BOS token before the text is supported", shown(single));
  }
  const std::string& name = require_string(single[0]["SpecialToken"], "id", where + ".single[0]");
  const json& token =
      require_key(require_key(spec, "special_tokens", where), name.c_str(), where + ".special_tokens");
  const json& ids = require_key(token, "ids", where + ".special_tokens");
  if (!ids.is_array() || ids.size() != 1 || !ids[0].is_number_unsigned() || ids[0] > INT32_MAX) {
    bad_input(where, "ids of {} are {}; expected one id", json_quoted(name), shown(ids));
  }
  return ids[0].get<TokenId>();
}

// ByteLevel moves offsets and changes no id.
std::optional<TokenId> parse_post_processor(const json& spec, const std::string& where) {
  if (spec.is_null()) return std::nullopt;
  json steps = json::array({spec});
  if (require_string(spec, "type", where) == "Sequence") steps = require_key(spec, "processors", where);
  std::optional<TokenId> bos;
  for (const json& step : steps) {
    const std::string& type = require_string(step, "type", where);
    if (type == "ByteLevel") continue;
    if (type != "TemplateProcessing") {
      bad_input(where, "unknown type {}; accepted are ByteLevel, TemplateProcessing and a Sequence of them",
                json_quoted(type));
    }
    const std::optional<TokenId> found = parse_template(step, where);
    if (found && bos) bad_input(where, "two steps add a BOS token; expected one");
    if (found) bos = found;
  }
  return bos;
}

void require_empty_normalizer(const json& spec, const std::string& where) {
  if (spec.is_null()) return;
  const std::string& type = require_string(spec, "type", where);
  if (type == "Sequence" && require_key(spec, "normalizers", where).empty()) return;
  bad_input(where, "{} is not supported; expected null or an empty Sequence", shown(spec));
}

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& where) {
  RawTokenizerJson raw = read_tokenizer_json(text, where);
  const json& tree = raw.tree;
  require_known_keys(tree,
                     {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                      "post_processor", "decoder", "model"},
                     where);
  if (tree.contains("version")) require_value(tree, "version", "1.0", where);
  for (const char* key : {"truncation", "padding"}) {  // they would cut or lengthen every text
    if (tree.contains(key)) require_value(tree, key, nullptr, where);
  }
  require_empty_normalizer(tree.value("normalizer", json()), where + ": normalizer");
  require_value(require_key(tree, "decoder", where), "type", "ByteLevel", where + ": decoder");

  TokenizerJson made;
  made.ignore_merges = parse_ignore_merges(require_key(tree, "model", where), where + ": model");
  made.pre_tokenizer =
      PreTokenizer::parse(require_key(tree, "pre_tokenizer", where), where + ": pre_tokenizer");
  made.template_bos = parse_post_processor(tree.value("post_processor", json()), where + ": post_processor");
  made.vocabulary = token_texts(std::move(raw.vocab), where);
  const TokenIndex index = index_of(made.vocabulary, where);
  made.merges = resolve_merges(raw, index, where);
  made.added_tokens = parse_added_tokens(tree.value("added_tokens", json::array()), index,
                                         made.vocabulary.size(), where + ": added_tokens");
  return made;
}

}  // namespace fathom::engine
