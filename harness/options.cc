#include "harness/options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

namespace fathom::harness {
namespace {

// An option whose value is one of a few words; anything else is a usage error that lists them.
template <typename Value>
CLI::Option* add_choice(CLI::App& command, const std::string& name, Value& value,
                        const std::map<std::string, Value>& choices, const std::string& help) {
  std::string words, standard;
  for (const auto& [word, meaning] : choices) {
    words += (words.empty() ? "" : "|") + word;
    if (meaning == value) standard = word;
  }
  const auto choose = [name, &value, choices, words](const std::string& word) {
    const auto found = choices.find(word);
    if (found == choices.end())
      throw CLI::ValidationError(name, "expected one of " + words + ", found " + word);
    value = found->second;
  };
  return command.add_option_function<std::string>(name, choose, help)
      ->option_text(words + " (" + standard + ")");
}

}  // namespace

CLI::Option* add_model_option(CLI::App& command, std::string& model_dir) {
  return command.add_option("--model", model_dir, "checkpoint folder in Hugging Face layout")
      ->required()
      ->option_text("DIR");
}

void add_json_lines_options(CLI::App& command, std::string& input, std::string& output) {
  command.add_option("--input", input, "JSON Lines to read; - is standard input")
      ->required()
      ->option_text("FILE");
  command.add_option("--output", output, "JSON Lines to write; - is standard output")
      ->required()
      ->option_text("FILE");
}

CLI::Option* add_bos_option(CLI::App& command, engine::BosRule& rule) {
  return add_choice(command, "--bos", rule,
                    {{"on", engine::BosRule::kOn},
                     {"off", engine::BosRule::kOff},
                     {"checkpoint", engine::BosRule::kCheckpoint}},
                    "put the BOS token in front of each text; checkpoint: as tokenizer_config.json says");
}

void add_engine_options(CLI::App& command, EngineChoice& choice) {
  add_model_option(command, choice.model_dir);
  add_choice(command, "--device", choice.device, {{"cpu", Device::kCpu}, {"cuda", Device::kCuda}},
             "where the model runs");
  add_choice(
      command, "--dtype", choice.options.dtype,
      {{"fp32", engine::WeightDtype::kF32}, {"bf16", engine::WeightDtype::kBF16}},
      "weights as stored (fp32, widened exactly) or rounded to bf16 first; activations and sums are fp32 "
      "in either case");
  add_choice(
      command, "--compute", choice.options.compute,
      {{"fp32", kernels::Compute::kF32}, {"bf16", kernels::Compute::kBF16}, {"int8", kernels::Compute::kI8}},
      "arithmetic of the linear matrices: bf16 rounds activations and weights and needs AVX-512 BF16 or a GPU; "
      "int8 quantises activations and needs int8 or int4 weights. Another numerics identity");
  command.add_flag(
      "--verify-kernels", choice.options.verify_kernels,
      "with --device cuda --compute bf16: let cuBLASLt compute each matrix for which it is proven, "
      "at the start, that a row's bits do not depend on the batch. Another numerics identity");
  add_choice(command, "--attention", choice.options.attention,
             {{"auto", engine::AttentionRule::kAuto},
              {"expanded", engine::AttentionRule::kExpanded},
              {"absorbed", engine::AttentionRule::kAbsorbed}},
             "form of attention; auto: expanded for prompts and scores, absorbed for generated tokens");
  std::map<std::string, kernels::LatentFormat> formats;
  for (const kernels::LatentFormat format : kernels::kLatentFormats)
    formats.emplace(kernels::latent_format_name(format), format);
  add_choice(command, "--kv", choice.options.kv, formats,
             "format of the latent cache; the narrow ones round what attention reads (docs/numerics.md)");
  add_choice(
      command, "--schedule", choice.options.schedule,
      {{"shared", engine::Schedule::kShared}, {"alone", engine::Schedule::kAlone}},
      "shared: batch requests, compute what prompts have in common once; alone: one after another. Never "
      "changes a result");
  command
      .add_option("--threads", choice.options.n_threads,
                  "threads; 0: every processor this process may use. Never changes a result")
      ->check(CLI::Range(0, 4096))
      ->option_text("N (0)");
  command
      .add_option("--max-tokens", choice.options.max_tokens,
                  "longest sequence; by default the model's max_position_embeddings")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->option_text("N");
  command
      .add_option_function<int64_t>(
          "--kv-memory", [&choice](int64_t mib) { choice.options.kv_memory_bytes = mib << 20; },
          "MiB for the latent cache; default: room for the longest sequence, but at least 2048")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->option_text("MIB");
}

CLI::Option* add_special_tokens_option(CLI::App& command, engine::SpecialTokens& special) {
  return add_choice(command, "--special-tokens", special,
                    {{"parse", engine::SpecialTokens::kParse}, {"text", engine::SpecialTokens::kText}},
                    "what special tokens written in a text become: parse: their ids, as in the reference; "
                    "text: ordinary text");
}

CLI::Option* add_truncate_option(CLI::App& command, Truncate& truncate) {
  return add_choice(command, "--truncate", truncate, {{"error", Truncate::kError}, {"left", Truncate::kLeft}},
                    "a prompt that does not fit: error: no score; left: cut its beginning, as lm-eval does");
}

}  // namespace fathom::harness
