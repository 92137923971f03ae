// RunPlan: everything that `fathom run` was asked to do. Immutable once built; stored whole with the run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/asking.h"
#include "harness/engine_loading.h"
#include "harness/request_builder.h"
#include "scorers/sandbox/options.h"

namespace fathom::harness {

struct RunPlan {
  // What is asked.
  Asking asking;
  uint64_t seed = 0;

  // Who answers.
  EngineChoice engine;
  engine::BosRule bos = engine::BosRule::kCheckpoint;
  Truncate truncate = Truncate::kError;

  // What is kept.
  std::filesystem::path db;
  std::filesystem::path db_local;   ///< --db-local: work on a copy in this folder; empty: on db itself
  std::filesystem::path committed;  ///< --committed: a line for each sample that is on disk; empty: none
  std::filesystem::path output;     ///< --output: a JSON report; empty: none
  std::string name;
  std::vector<std::string> tags;
  std::vector<std::string> command_line;
  bool fresh = false;   ///< a new run even where a stored one answers the plan
  bool rehash = false;  ///< hash the weights even where the cache knows them

  // How code is run.
  sandbox::SandboxOptions sandbox;
  bool skip_unavailable = false;  ///< leave code tasks out when the sandbox refuses
};

/// What can change a sample's result beside weights, tasks, BOS and numerics, as canonical JSON: compared on
/// resume. How many documents, repeats and few-shot examples is part of each task's record, so that a larger
/// run can reuse the samples of a smaller one.
std::string parameters_json(const RunPlan& plan);

}  // namespace fathom::harness
