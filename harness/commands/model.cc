// `fathom model info DIR` and `fathom model check DIR`.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/thread_pool.h"
#include "harness/commands.h"
#include "harness/model_check.h"
#include "harness/model_info.h"

namespace fathom::harness {
namespace {

struct ModelOptions {
  std::string model_dir;
  bool json = false;
};

struct CheckOptions : ModelOptions {
  int threads = 0;
};

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) fmt::print(stderr, "fathom: warning: {}\n", warning);
}

void run_info(const ModelOptions& options) {
  const ModelInfo info = inspect_model(options.model_dir);
  if (info.stored) print_warnings(info.stored->warnings);
  fmt::print("{}", options.json ? model_info_json(info).dump(2) + "\n" : model_info_text(info));
}

void add_info(CLI::App& model) {
  auto options = std::make_shared<ModelOptions>();
  CLI::App* command = model.add_subcommand(
      "info",
      "Geometry, exact parameter counts, bytes of weights and cache\n"
      "config.json alone is enough; weight files, if there, are checked against the tensor table.\n"
      "Example: fathom model info ~/models/DeepSeek-V2-Lite");
  command->add_option("DIR", options->model_dir, "Hugging Face model folder")->required();
  command->add_flag("--json", options->json, "Print one JSON object");
  command->callback([options] { run_info(*options); });
}

void run_check(const CheckOptions& options, CommandContext& context) {
  const int n_threads = options.threads == 0 ? usable_processors() : options.threads;
  const ModelCheck check = check_model(options.model_dir, n_threads);
  fmt::print("{}", options.json ? model_check_json(check).dump(2) + "\n" : model_check_text(check));
  if (check.has_problem()) context.exit_code = kExitBadInput;
}

void add_check(CLI::App& model, CommandContext& context) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command = model.add_subcommand(
      "check",
      "Read every weight and predict a short text: is this model fit for a benchmark?\n"
      "Looks for NaN and infinities, tensors unlike their siblings, a tokenizer that does not fit, "
      "near-uniform\n"
      "logits and a BOS that does not help. Exit code 0 without problems (warnings allowed), 3 with one.\n"
      "Example: fathom model check ~/models/DeepSeek-V2-Lite");
  command->add_option("DIR", options->model_dir, "Hugging Face model folder")->required();
  command->add_flag("--json", options->json, "Print one JSON object");
  command->add_option("--threads", options->threads, "Threads; 0: all processors")
      ->check(CLI::Range(0, 1024));
  command->callback([options, &context] { run_check(*options, context); });
}

}  // namespace

void add_model(CLI::App& app, CommandContext& context) {
  CLI::App* model = app.add_subcommand("model",
                                       "Describe or check a model folder\n"
                                       "Example: fathom model info ~/models/DeepSeek-V2-Lite");
  model->require_subcommand(1);
  add_info(*model);
  add_check(*model, context);
}

}  // namespace fathom::harness
