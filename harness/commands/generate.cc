// `fathom generate`: text or ids in, continuation out, line by line.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_lines.h"
#include "harness/commands.h"
#include "harness/engine_loading.h"
#include "harness/json_fields.h"
#include "harness/options.h"

namespace fathom::harness {
namespace {

using nlohmann::json;

struct GenerateOptions {
  EngineChoice engine;
  engine::BosRule bos = engine::BosRule::kCheckpoint;
  engine::SpecialTokens special = engine::SpecialTokens::kParse;
  std::string input;
  std::string output;
};

constexpr int64_t kDefaultMaxTokens = 128;

engine::GenerateRequest read_request(const json& line, const engine::Tokenizer& tokenizer,
                                     const GenerateOptions& options, const std::string& where) {
  require_known_keys(
      line, {"id", "ids", "text", "max_tokens", "stop", "temperature", "top_p", "seed", "ignore_eos"}, where);
  engine::GenerateRequest request;
  const std::optional<std::string> text = string_field(line, "text", where);
  if (text.has_value() == line.contains("ids")) bad_input(where, "expected either \"ids\" or \"text\"");
  request.prompt = text ? tokenizer.with_bos(tokenizer.encode(*text, options.special), options.bos)
                        : token_ids_field(line, "ids", where);
  request.max_tokens = integer_field(line, "max_tokens", kDefaultMaxTokens, where);
  request.stop = strings_field(line, "stop", where);
  request.sampling.temperature = number_field(line, "temperature", 0.0, where);
  request.sampling.top_p = number_field(line, "top_p", 1.0, where);
  request.sampling.seed = unsigned_field(line, "seed", 0, where);
  request.ignore_eos = bool_field(line, "ignore_eos", false, where);
  return request;
}

json answer(engine::Engine& engine, engine::GenerateRequest request, CommandContext& context) {
  engine.submit({0, std::move(request)});
  const std::optional<engine::Completion> completion = engine.next();
  FATHOM_CHECK(completion.has_value());
  if (const auto* failure = std::get_if<engine::RequestFailure>(&completion->result)) {
    context.exit_code = kExitUnscored;
    return {{"error", failure->message}};
  }
  const auto& result = std::get<engine::GenerateResult>(completion->result);
  return {{"ids", result.ids},
          {"text", result.text},
          {"finish_reason", engine::finish_reason_name(result.finish_reason)},
          {"logprobs", result.logprobs}};
}

void run_generate(const GenerateOptions& options, CommandContext& context) {
  const LoadedEngine loaded = load_engine(options.engine, WithTokenizer::kYes);
  JsonLinesReader input(options.input);
  JsonLinesWriter output(options.output);
  while (const std::optional<json> line = input.next()) {
    const json& id = required_field(*line, "id", input.where());
    json result =
        answer(*loaded.engine, read_request(*line, *loaded.tokenizer, options, input.where()), context);
    result["id"] = id;
    output.write(result);
  }
}

}  // namespace

void add_generate(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "Continue prompts, given as text or token ids");
  command->footer(R"(Reads, one object a line, "id" and either "ids" or "text", and if wanted
  max_tokens 128, stop [], temperature 0 (greedy), top_p 1, seed 0, ignore_eos false
and writes, in the same order:
  ids            all generated ids
  text           what they spell, up to the first stop string
  finish_reason  eos, stop or length
  logprobs       of the ids, at temperature 1
A prompt that cannot be computed gives {"id", "error"}, and exit code 6 at the end.

Example:
  echo '{"id": 1, "text": "The sea", "max_tokens": 16}' | fathom generate --model DIR --input - --output -)");
  add_engine_options(*command, options->engine);
  add_bos_option(*command, options->bos);
  add_special_tokens_option(*command, options->special);
  add_json_lines_options(*command, options->input, options->output);
  command->callback([options, &context] { run_generate(*options, context); });
}

}  // namespace fathom::harness
