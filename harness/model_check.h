// `fathom model check`: is this folder a model that can be trusted with a benchmark?
//
// Loading has already checked every name, shape and dtype. Here the numbers are read: NaN and infinities,
// tensors that look damaged beside their siblings, the tokenizer against the vocabulary, and how well the
// model predicts a short text with and without BOS. A problem means that scores would be wrong; a warning
// means that a person should look.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/weight_scan.h"

namespace fathom::harness {

struct Finding {
  enum class Severity { kWarning, kProblem };
  Severity severity;
  std::string text;
};

/// How the built-in text was predicted. Both figures leave out the first token, which has no context without
/// BOS.
struct TextPrediction {
  int64_t n_bytes = 0;
  int64_t n_tokens = 0;
  double bits_per_byte_with_bos = 0;
  double bits_per_byte_without_bos = 0;
  double bits_per_byte_of_guessing = 0;  ///< every id equally likely
};

struct ModelCheck {
  int64_t n_tensors = 0;
  int64_t n_numbers = 0;
  double scan_s = 0;
  std::optional<int64_t> tokenizer_vocab_size;  ///< absent: the folder has no tokenizer
  int64_t vocab_size = 0;
  std::optional<TextPrediction> prediction;  ///< absent: no tokenizer, no BOS, or the engine failed
  std::vector<Finding> findings;

  bool has_problem() const;
};

/// Loads and checks the folder, with progress on standard error. Throws Error{kBadInput} as loading does;
/// what can be said about a model that loads is in the findings.
ModelCheck check_model(const std::filesystem::path& model_dir, int n_threads);

/// The findings of the weight scan; tensors that differ only in layer and expert numbers are siblings.
std::vector<Finding> judge_weights(std::span<const engine::CheckpointTensor> tensors,
                                   std::span<const engine::TensorStatistics> statistics);

/// What is implausible about a prediction.
std::vector<Finding> judge_prediction(const TextPrediction& prediction);

std::string model_check_text(const ModelCheck& check);
nlohmann::json model_check_json(const ModelCheck& check);

}  // namespace fathom::harness
