// `fathom model info DIR`, `fathom model check DIR` and `fathom model quantize IN OUT`.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/number_text.h"
#include "base/thread_pool.h"
#include "engine/quantise_checkpoint.h"
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

struct QuantizeOptions {
  std::string in;
  std::string out;
  std::string format;
  int64_t group = 0;
  int threads = 0;
};

// Groups as they are usual: larger ones cost accuracy, smaller ones bytes.
engine::Quantization chosen_quantization(const QuantizeOptions& options) {
  if (options.format == "fp8") {
    if (options.group != 0) throw Error(ErrorKind::kUsage, "fp8 has blocks of 128 x 128", "--group");
    return {engine::QuantFormat::kFp8, 128, 128};
  }
  if (options.group % 32 != 0)
    throw Error(ErrorKind::kUsage, fmt::format("expected a multiple of 32, found {}", options.group),
                "--group");
  const bool int4 = options.format == "int4";
  const int64_t usual = int4 ? 64 : 128;
  return {int4 ? engine::QuantFormat::kInt4 : engine::QuantFormat::kInt8, 1,
          options.group == 0 ? usual : options.group};
}

void run_quantize(const QuantizeOptions& options) {
  const engine::Quantization quantization = chosen_quantization(options);
  ThreadPool pool(options.threads == 0 ? usable_processors() : options.threads);
  const engine::QuantisedCheckpoint done =
      engine::quantise_checkpoint(options.in, options.out, quantization, pool);
  fmt::print("{}\n{} matrices in {}; {} tensors as they were\nweights {} -> {} ({:.1f} %)\n", options.out,
             format_count(done.n_quantised), engine::quantization_text(quantization),
             format_count(done.n_kept), format_bytes(done.bytes_before), format_bytes(done.bytes_after),
             100.0 * static_cast<double>(done.bytes_after) / static_cast<double>(done.bytes_before));
}

void add_quantize(CLI::App& model) {
  auto options = std::make_shared<QuantizeOptions>();
  CLI::App* command =
      model.add_subcommand("quantize",
                           "Write a copy of a model with its linear matrices in int8, int4 or fp8\n"
                           "Embedding, head, norms, routers and kv_b_proj stay as they are. The copy is "
                           "mapped like any checkpoint;\n"
                           "its numbers are other numbers, so results of the two never mix.\n"
                           "Example: fathom model quantize ~/models/DeepSeek-V2-Lite "
                           "~/models/DeepSeek-V2-Lite-int8 --format int8");
  command->add_option("IN", options->in, "Hugging Face model folder, not quantised")->required();
  command->add_option("OUT", options->out, "Folder to make; refused when it is there and not empty")
      ->required();
  command->add_option("--format", options->format, "int8, int4 or fp8 (E4M3, blocks of 128 x 128)")
      ->required()
      ->check(CLI::IsMember({"int8", "int4", "fp8"}));
  command->add_option("--group", options->group, "Numbers of a row that share a scale; int8: 128, int4: 64")
      ->check(CLI::Range(int64_t{32}, int64_t{1} << 16));
  command->add_option("--threads", options->threads, "Threads; 0: all processors")
      ->check(CLI::Range(0, 1024));
  command->callback([options] { run_quantize(*options); });
}

}  // namespace

void add_model(CLI::App& app, CommandContext& context) {
  CLI::App* model = app.add_subcommand("model",
                                       "Describe, check or quantise a model folder\n"
                                       "Example: fathom model info ~/models/DeepSeek-V2-Lite");
  model->require_subcommand(1);
  add_info(*model);
  add_check(*model, context);
  add_quantize(*model);
}

}  // namespace fathom::harness
