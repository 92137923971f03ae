// `fathom model info DIR` and `fathom model check DIR`.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/commands.h"
#include "harness/model_info.h"

namespace fathom::harness {
namespace {

struct ModelOptions {
  std::string model_dir;
  bool json = false;
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

}  // namespace

void add_model(CLI::App& app, CommandContext&) {
  CLI::App* model = app.add_subcommand("model",
                                       "Describe or check a model folder\n"
                                       "Example: fathom model info ~/models/DeepSeek-V2-Lite");
  model->require_subcommand(1);
  add_info(*model);
}

}  // namespace fathom::harness
