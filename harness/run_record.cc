#include "harness/run_record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "engine/model_geometry.h"
#include "harness/model_series.h"
#include "harness/open_tasks.h"
#include "harness/provenance.h"
#include "harness/sample_record.h"
#include "results/file_hasher.h"
#include "scorers/scorer.h"

namespace fathom::harness {
namespace {

results::CheckpointRecord checkpoint_record(const engine::Checkpoint& checkpoint) {
  const engine::ModelConfig& config = checkpoint.config();
  const engine::ModelGeometry geometry = engine::measure_geometry(config);
  const nlohmann::json config_json = nlohmann::json::parse(checkpoint.config_text());
  results::CheckpointRecord record;
  const std::filesystem::path folder = std::filesystem::absolute(checkpoint.model_dir()).lexically_normal();
  record.model = folder.filename().empty() ? folder.parent_path().filename() : folder.filename();
  record.path = folder.string();
  record.train_step = train_step_of(folder);
  record.arch = config_json.value("model_type", "deepseek_v2");
  record.dtype = std::string(kernels::dtype_name(checkpoint.weights().lm_head.dtype));
  record.n_params = geometry.parameters;
  record.n_active_params = geometry.active_without_input_embedding;
  record.max_tokens = config.max_position_embeddings;
  record.config_json = checkpoint.config_text();
  std::vector<std::string> files;
  for (const engine::CheckpointFile& file : checkpoint.files()) {
    files.push_back(file.path.lexically_relative(checkpoint.model_dir()).string());
  }
  record.weights = results::find_weight_files(checkpoint.model_dir(), files);
  return record;
}

results::ScoringRecord scoring_record(const OpenTask& open, const tasks::Metric& metric) {
  const tasks::Task& task = *open.task;
  results::ScoringRecord scoring;
  scoring.metric = metric.name;
  scoring.filter = metric.filter;
  scoring.scorer_version = std::string(scorers::kScorerVersion);
  if (task.kind == tasks::TaskKind::kNeedle) {
    scoring.kind = results::ScoreKind::kBounded;
    scoring.low = 1;
    scoring.high = 10;
  }
  if (task.kind == tasks::TaskKind::kCode) scoring.pass_k = pass_at_k(open).reported;
  return scoring;
}

std::vector<std::string> groups_of(const tasks::Task& task, const tasks::Selection& selection) {
  std::vector<std::string> names;
  for (const tasks::Group* group : selection.groups) {
    const bool member =
        std::find(group->members.begin(), group->members.end(), task.name) != group->members.end();
    if (member) names.push_back(group->name);
  }
  return names;
}

results::TaskRecord task_record(const OpenTask& open, const tasks::Selection& selection) {
  const tasks::Task& task = *open.task;
  const tasks::DatasetIdentity& dataset = open.documents.dataset;
  results::TaskRecord record;
  record.name = task.name;
  record.version = task.version;
  record.kind = std::string(tasks::task_kind_name(task.kind));
  record.n_shot = open.num_fewshot;
  record.spec_json = tasks::task_spec(task).dump();
  record.n_reps = open.n_reps;
  record.groups = groups_of(task, selection);
  record.dataset = {.sha256 = dataset.sha256,
                    .name = dataset.config.empty() ? dataset.name : dataset.name + "/" + dataset.config,
                    .split = dataset.split,
                    .n_rows = dataset.n_rows,
                    .source = {}};
  for (int64_t i = 0; i < open.n_planned; ++i) {
    record.docs.push_back(doc_record(open.documents.samples[static_cast<size_t>(i)]));
  }
  record.scorings = scoring_records(open);
  return record;
}

}  // namespace

results::DocRecord doc_record(const tasks::Sample& sample) {
  return {.ordinal = sample.doc_id,
          .key = sample.doc_key,
          .sha256 = document_sha256(sample),
          .cluster = sample.cluster,
          .target = sample.target};
}

std::vector<results::ScoringRecord> scoring_records(const OpenTask& open) {
  std::vector<results::ScoringRecord> scorings;
  for (const tasks::Metric& metric : open.task->metrics) scorings.push_back(scoring_record(open, metric));
  FATHOM_CHECK(!scorings.empty(), "{} has no metric", open.task->name);
  scorings.front().headline = true;
  return scorings;
}

results::RunRecord make_run_record(const RunParts& parts) {
  const RunPlan& plan = parts.plan;
  results::RunRecord run;
  run.name = plan.name;
  run.tags = plan.tags;
  run.checkpoint = checkpoint_record(parts.checkpoint);
  run.tokenizer = {.sha256 = parts.tokenizer.sha256(), .vocab_size = parts.tokenizer.vocab_size()};
  run.bos = parts.tokenizer.adds_bos(plan.bos) ? "on" : "off";
  run.parameters_json = parameters_json(plan);
  run.numerics_json = parts.numerics_json;
  for (const OpenTask& open : parts.tasks) run.tasks.push_back(task_record(open, parts.selection));
  run.options_json = nlohmann::json(plan.command_line).dump();
  run.machine_json = machine_json(space_of(plan.engine.device));
  run.build = running_build();
  run.n_threads = parts.n_threads;
  run.device = plan.engine.device == Device::kCuda ? "cuda" : "cpu";
  return run;
}

}  // namespace fathom::harness
