// fathom render: what a task sends, without a model's weights.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json_lines.h"
#include "base/sha256.h"
#include "harness/asking.h"
#include "harness/commands.h"
#include "harness/options.h"
#include "harness/request_builder.h"

namespace fathom::harness {
namespace {

using nlohmann::json;

struct RenderOptions {
  Asking asking;
  std::string model_dir;
  std::string output = "-";
  engine::BosRule bos = engine::BosRule::kCheckpoint;
  engine::SpecialTokens special = engine::SpecialTokens::kParse;
  bool ids = false;
};

json render_sample(const tasks::Task& task, const tasks::Sample& sample, const tasks::Prompt& prompt,
                   const BuiltRequest& request) {
  json line = {{"task", task.name},
               {"doc_id", sample.doc_id},
               {"prompt", request.text},
               {"prompt_sha256", to_hex(sha256(request.text))},
               {"n_tokens", request.context().size()},
               {"ids_sha256", request.ids_sha256()},
               {"continuations", prompt.continuations},
               {"stop", prompt.stop},
               {"target", sample.target}};
  if (!prompt.recipe.is_null()) line["recipe"] = prompt.recipe;
  return line;
}

void render(const RenderOptions& options) {
  const tasks::Selection selection = select_tasks(options.asking);
  const engine::Tokenizer tokenizer = engine::Tokenizer::load(options.model_dir);
  const TokenizerCounter tokens(tokenizer);
  RequestBuilder builder(tokenizer, {.bos = options.bos, .special = options.special});
  JsonLinesWriter writer(options.output);
  for (const tasks::Task* task : selection.tasks) {
    const tasks::Documents documents = open_task(options.asking, *task, tokens);
    const int64_t n = n_asked(options.asking, documents);
    for (const tasks::Sample& sample : std::span(documents.samples).first(static_cast<size_t>(n))) {
      const tasks::Prompt prompt = documents.prompt(sample);
      const BuiltRequest request = builder.build(prompt);
      json line = render_sample(*task, sample, prompt, request);
      if (options.ids) line["ids"] = request.context();
      writer.write(line);
    }
  }
}

}  // namespace

void add_render(CLI::App& app, CommandContext&) {
  CLI::App* command = app.add_subcommand("render", "Show the prompts of a task, as text and as token ids");
  command->footer(
      "Writes {\"task\", \"doc_id\", \"prompt\", \"prompt_sha256\", \"n_tokens\", \"ids_sha256\", "
      "\"continuations\", "
      "\"stop\",\n"
      "\"target\"}, one object a line, and \"recipe\" for prompts with needles. prompt_sha256 is over the "
      "UTF-8 text,\n"
      "ids_sha256 over the ids of the context in decimal joined by \",\". White space at the end of a "
      "context that is\n"
      "scored belongs to its continuations, as in lm-eval, so it is in the text and not in the ids. Needs no "
      "weights.\n"
      "\n"
      "Examples:\n"
      "  fathom render mmlu_anatomy --model DIR --data DIR --limit 2\n"
      "  fathom render gsm8k --model DIR --chat --fewshot-as-multiturn --ids");
  auto options = std::make_shared<RenderOptions>();
  add_asking_options(*command, options->asking);
  add_model_option(*command, options->model_dir);
  add_bos_option(*command, options->bos);
  add_special_tokens_option(*command, options->special);
  command->add_flag("--ids", options->ids, "Also the ids of the context");
  command->add_option("--output", options->output, "File to write; - is standard output")
      ->capture_default_str()
      ->option_text("FILE");
  command->callback([options] { render(*options); });
}

}  // namespace fathom::harness
