// `fathom logprobs`: log probabilities of token ids, line by line.
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

struct LogprobsOptions {
  EngineChoice engine;
  std::string input;
  std::string output;
  bool routes = false;
};

// Per layer [] for a dense one, else [token][k].
json routes_json(const engine::SequenceLogprobs& scores, size_t n_tokens) {
  json layers = json::array();
  for (const std::vector<int32_t>& experts : scores.routes) {
    json layer = json::array();
    const size_t k = experts.size() / n_tokens;
    for (size_t t = 0; k > 0 && t < n_tokens; ++t) {
      layer.push_back(std::vector<int32_t>(experts.begin() + static_cast<ptrdiff_t>(t * k),
                                           experts.begin() + static_cast<ptrdiff_t>((t + 1) * k)));
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

json answer(engine::EmbeddedEngine& engine, const std::vector<engine::TokenId>& ids, bool routes) {
  const engine::SequenceLogprobs scores = engine.logprobs(ids, routes);
  json logprobs = json::array({nullptr});  // nothing comes before the first id
  for (float logprob : scores.logprobs) logprobs.push_back(logprob);
  json top = json::array();
  for (size_t i = 0; i < scores.top_ids.size(); ++i) {
    top.push_back({{"id", scores.top_ids[i]}, {"logprob", scores.top_logprobs[i]}});
  }
  json line = {{"logprobs", std::move(logprobs)}, {"argmax", scores.argmax}, {"top", std::move(top)}};
  if (routes) line["routes"] = routes_json(scores, ids.size());
  return line;
}

void run_logprobs(const LogprobsOptions& options, CommandContext& context) {
  const LoadedEngine loaded = load_engine(options.engine, WithTokenizer::kNo);
  JsonLinesReader input(options.input);
  JsonLinesWriter output(options.output);
  while (const std::optional<json> request = input.next()) {
    require_known_keys(*request, {"id", "ids"}, input.where());
    const json& id = required_field(*request, "id", input.where());
    const std::vector<engine::TokenId> ids = token_ids_field(*request, "ids", input.where());
    json line;
    if (const std::optional<std::string> refusal = loaded.engine->check_ids(ids, 0)) {
      line["error"] = *refusal;
      context.exit_code = kExitUnscored;
    } else {
      line = answer(*loaded.engine, ids, options.routes);
    }
    line["id"] = id;
    output.write(line);
  }
}

}  // namespace

void add_logprobs(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<LogprobsOptions>();
  CLI::App* command = app.add_subcommand("logprobs", "Log probabilities of sequences of token ids");
  command->footer(R"(Reads {"id", "ids"} and writes, in the same order, one object a line:
  logprobs  [i] = log p(ids[i] | ids[<i]); null at 0
  argmax    [i] = the most likely id after ids[0..i]
  top       the 20 best {"id", "logprob"} after the last id
A sequence that cannot be computed gives {"id", "error"}, and exit code 6 at the end.

Example:
  echo '{"id": 1, "ids": [100000, 17464]}' | fathom logprobs --model DIR --input - --output -)");
  add_engine_options(*command, options->engine);
  add_json_lines_options(*command, options->input, options->output);
  command->add_flag("--routes", options->routes,
                    "Add \"routes\": per layer [] if dense, else [token][k] expert ids");
  command->callback([options, &context] { run_logprobs(*options, context); });
}

}  // namespace fathom::harness
