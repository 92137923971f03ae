// RunPlan: everything that `fathom run` was asked to do. Immutable once built; stored whole with the run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/tokenizer.h"

namespace fathom::harness {

/// What happens to a prompt that is longer than the model's context leaves room for.
enum class TruncateRule {
  kError,  ///< the sample is an error, never a score
  kLeft,   ///< tokens are cut from the left as lm-eval does, and how many is recorded
};

struct RunPlan {
  // What is asked.
  std::vector<std::string> tasks;  ///< as typed: groups and members
  std::filesystem::path data_dir;  ///< --data; empty: the data cache
  std::optional<int64_t> limit;    ///< the first N documents of each task
  std::optional<int64_t> num_fewshot;
  std::optional<int64_t> max_new_tokens;
  uint64_t seed = 0;

  // Who answers.
  std::filesystem::path model_dir;
  engine::BosRule bos = engine::BosRule::kCheckpoint;
  std::string dtype = "fp32";
  std::string device = "cpu";
  std::string attention = "auto";
  int threads = 0;  ///< 0: all usable processors
  TruncateRule truncate = TruncateRule::kError;
  bool chat = false;
  bool fewshot_as_multiturn = false;

  // What is kept.
  std::filesystem::path db;
  std::string name;
  std::vector<std::string> tags;
};

}  // namespace fathom::harness
