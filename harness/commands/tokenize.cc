#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_lines.h"
#include "engine/config.h"
#include "engine/tokenizer.h"
#include "harness/commands.h"
#include "harness/json_fields.h"
#include "harness/options.h"

namespace fathom::harness {
namespace {

using nlohmann::json;

struct TokenizeOptions {
  std::string model_dir;
  std::string input;
  std::string output;
  bool decode = false;
  engine::BosRule bos = engine::BosRule::kCheckpoint;
  engine::SpecialTokens special = engine::SpecialTokens::kParse;
};

json encode_line(const json& line, const std::string& where, const engine::Tokenizer& tokenizer,
                 const TokenizeOptions& options) {
  require_known_keys(line, {"id", "text"}, where);
  const json& text = required_field(line, "text", where);
  if (!text.is_string()) bad_input(where, "text: expected a string, found {}", text.type_name());
  const auto ids = tokenizer.encode(text.get_ref<const std::string&>(), options.special);
  return {{"id", required_field(line, "id", where)}, {"ids", tokenizer.with_bos(ids, options.bos)}};
}

json decode_line(const json& line, const std::string& where, const engine::Tokenizer& tokenizer,
                 int64_t n_ids) {
  require_known_keys(line, {"id", "ids"}, where);
  const json& values = required_field(line, "ids", where);
  if (!values.is_array()) bad_input(where, "ids: expected an array, found {}", values.type_name());
  std::vector<engine::TokenId> ids;
  for (const json& value : values) {
    if (!value.is_number_integer() || value < 0 || value >= n_ids) {
      bad_input(where, "ids[{}] is {}; expected an id from 0 to {}", ids.size(), value.dump(), n_ids - 1);
    }
    ids.push_back(value.get<engine::TokenId>());
  }
  return {{"id", required_field(line, "id", where)},
          {"text", tokenizer.decode(ids, engine::Tokenizer::DecodeSpecial::kKeep)}};
}

// The model's vocabulary may be larger than the tokenizer's: it can generate ids that stand for no text.
int64_t number_of_ids(const engine::Tokenizer& tokenizer, const std::filesystem::path& model_dir) {
  if (!std::filesystem::exists(model_dir / "config.json")) return tokenizer.vocab_size();
  return std::max(tokenizer.vocab_size(), engine::load_config(model_dir).vocab_size);
}

void tokenize(const TokenizeOptions& options) {
  const engine::Tokenizer tokenizer = engine::Tokenizer::load(options.model_dir);
  const int64_t n_ids = options.decode ? number_of_ids(tokenizer, options.model_dir) : 0;
  JsonLinesReader reader(options.input);
  JsonLinesWriter writer(options.output);
  while (const std::optional<json> line = reader.next()) {
    writer.write(options.decode ? decode_line(*line, reader.where(), tokenizer, n_ids)
                                : encode_line(*line, reader.where(), tokenizer, options));
  }
}

}  // namespace

void add_tokenize(CLI::App& app, CommandContext&) {
  CLI::App* command = app.add_subcommand("tokenize", "Turn texts into token ids, or ids into texts");
  command->footer(
      "Reads {\"id\", \"text\"} and writes {\"id\", \"ids\"}, one object a line; with --decode the reverse, "
      "special\n"
      "tokens kept. \"id\" may be any JSON value and is returned as given. Needs no weights.\n\n"
      "Example:\n"
      "  echo '{\"id\": 1, \"text\": \"Hello world\"}' | fathom tokenize --model DIR --input - --output -");
  auto options = std::make_shared<TokenizeOptions>();
  add_model_option(*command, options->model_dir);
  add_json_lines_options(*command, options->input, options->output);
  CLI::Option* decode = command->add_flag("--decode", options->decode, "turn ids into text");
  add_bos_option(*command, options->bos)->excludes(decode);
  add_special_tokens_option(*command, options->special)->excludes(decode);
  command->callback([options] { tokenize(*options); });
}

}  // namespace fathom::harness
