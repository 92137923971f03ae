// Runs as they are stored: finding one, listing all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

struct RunInfo {
  int64_t run_id = 0;
  std::string uuid;
  std::string name;
  std::string model;
  std::string model_path;
  std::optional<int64_t> train_step;
  RunStatus status = RunStatus::kRunning;
  std::string why;
  int64_t created_us = 0;
  std::optional<int64_t> finished_us;
  std::optional<Sha256Digest> manifest_sha256;  ///< absent until the weights are hashed
  std::string dtype;                            ///< of the stored weights; empty until then
  Sha256Digest plan_sha256{};
  std::string plan_json;
  std::string options_json;
  std::vector<std::string> tags;
  std::vector<std::string> tasks;  ///< in the order of the run
  int64_t n_planned = 0;           ///< samples, repeats included
  int64_t n_stored = 0;
  int64_t n_errors = 0;  ///< stored samples without an answer
};

/// `reference` is a run's number, "latest", or the start of its UUID (8 digits at least). Throws
/// Error{kBadInput} that says which runs exist.
int64_t find_run(const Database& database, const std::string& reference);

RunInfo run_info(const Database& database, int64_t run_id);

/// Stored samples without a headline score: no answer, or one that could not be judged (a sandbox that
/// failed).
int64_t count_unscored(const Database& database, int64_t run_id);

/// Newest first.
std::vector<RunInfo> list_runs(const Database& database);

/// How many samples of a run carry each flag bit, by task in the order of the run.
struct TaskRates {
  std::string task;
  int64_t n_samples = 0;
  int64_t n_errors = 0;
  int64_t n_reused = 0;            ///< computed by another run
  std::vector<int64_t> n_flagged;  ///< by bit
};
std::vector<TaskRates> task_rates(const Database& database, int64_t run_id);

}  // namespace fathom::results
