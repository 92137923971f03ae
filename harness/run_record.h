// What a run is, in the store's terms: identities of checkpoint, tokenizer, data and tasks, the plan, and
// what was merely true of the machine and the command line.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/tokenizer.h"
#include "harness/run_plan.h"
#include "harness/work_feed.h"
#include "results/records.h"
#include "tasks/registry.h"

namespace fathom::harness {

struct RunParts {
  const RunPlan& plan;
  const engine::Checkpoint& checkpoint;
  const engine::Tokenizer& tokenizer;
  const tasks::Selection& selection;
  std::span<const OpenTask> tasks;
  std::string numerics_json;
  int n_threads = 1;
};

results::RunRecord make_run_record(const RunParts& parts);

/// One document as the store knows it.
results::DocRecord doc_record(const tasks::Sample& sample);

/// How this fathom judges a task: one entry for each of its metrics, the headline first.
std::vector<results::ScoringRecord> scoring_records(const OpenTask& open);

}  // namespace fathom::harness
