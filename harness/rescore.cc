#include "harness/rescore.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "engine/tokenizer.h"
#include "harness/asking.h"
#include "harness/code_execution.h"
#include "harness/request_builder.h"
#include "harness/run_record.h"
#include "harness/run_report.h"
#include "harness/sample_record.h"
#include "harness/sandbox_execution.h"
#include "harness/version.h"
#include "results/aggregate.h"
#include "results/plan.h"
#include "results/rescoring.h"
#include "results/runs.h"
#include "results/samples.h"
#include "results/schema.h"
#include "results/store.h"
#include "scorers/scorer.h"
#include "tasks/registry.h"

namespace fathom::harness {
namespace {

using results::RejudgedSample;
using results::RejudgedTask;
using results::StoredSample;

tasks::PromptForm form_from_name(const std::string& name) {
  for (const auto form :
       {tasks::PromptForm::kText, tasks::PromptForm::kChat, tasks::PromptForm::kChatMultiturn}) {
    if (tasks::prompt_form_name(form) == name) return form;
  }
  bad_input({}, "the run was asked in the form \"{}\", which this fathom does not know", name);
}

// What of the stored plan decides which documents a task has.
Asking stored_asking(const RescorePlan& plan, const results::RunInfo& run, const tasks::Task& task) {
  const nlohmann::json parameters = nlohmann::json::parse(run.plan_json).at("parameters");
  Asking asking{.tasks = {task.name},
                .data_dir = plan.data_dir,
                .haystack_dir = plan.haystack_dir,
                .limit = {},
                .prompt = {}};
  asking.prompt.form = form_from_name(parameters.at("form").get<std::string>());
  if (task.max_num_fewshot > 0)
    asking.prompt.num_fewshot = 0;  // examples shape prompts, and prompts are not needed
  if (task.kind == tasks::TaskKind::kNeedle) {
    asking.prompt.needle_lengths = parameters.at("needle_lengths").get<std::vector<int64_t>>();
    asking.prompt.needle_depths = parameters.at("needle_depths").get<std::vector<double>>();
  }
  return asking;
}

scorers::Response response_of(const StoredSample& sample) {
  return {.choice_logprobs = sample.choice_logprobs,
          .is_greedy = sample.choice_greedy,
          .text = sample.output,
          .finish_reason = std::string(results::finish_name(sample.finish)),
          .verdict = {}};
}

// The documents of a task by their row, each checked against the hash that the store keeps.
class DocumentsByRow {
 public:
  DocumentsByRow(const tasks::Task& task, const tasks::Documents& documents) : task_(task) {
    for (const tasks::Sample& sample : documents.samples) by_row_[sample.doc_id] = &sample;
  }

  const tasks::Sample& find(const StoredSample& stored) const {
    const auto found = by_row_.find(stored.ordinal);
    if (found == by_row_.end() || results::doc_sha256(doc_record(*found->second)) != stored.doc_sha256) {
      bad_input(task_.name,
                "row {} of this data set is not the one that was asked; give the run's own data with --data. "
                "Nothing was "
                "stored",
                stored.ordinal);
    }
    return *found->second;
  }

 private:
  const tasks::Task& task_;
  std::unordered_map<int64_t, const tasks::Sample*> by_row_;
};

class Rescorer {
 public:
  Rescorer(const RescorePlan& plan, results::Store& store, int64_t run_id)
      : plan_(plan), store_(store), run_(results::run_info(store.database(), run_id)) {}

  // The tasks that this fathom's scorers have not judged yet, judged.
  std::vector<RejudgedTask> judge() {
    std::vector<RejudgedTask> judged;
    for (const results::StoredTask& stored : results::stored_tasks(store_.database(), run_.run_id)) {
      const tasks::Task& task = tasks::find_task(stored.name);
      OpenTask open{.task = &task, .documents = {}};
      open.n_reps = stored.n_reps;
      RejudgedTask one{.task = stored, .scorings = scoring_records(open), .samples = {}};
      if (results::is_judged_by(store_.database(), stored.run_task_id, one.scorings)) continue;
      open.documents = open_task(stored_asking(plan_, run_, task), task, counter_for(task));
      one.samples = task.kind == tasks::TaskKind::kCode ? judge_programs(open) : judge_answers(open);
      judged.push_back(std::move(one));
    }
    return judged;
  }

 private:
  template <typename Visit>
  void for_each_answer(const OpenTask& open, const Visit& visit) {
    const DocumentsByRow documents(*open.task, open.documents);
    results::for_each_sample(
        store_.database(), run_.run_id, open.task->name, [&](const StoredSample& stored) {
          if (stored.task == open.task->name && stored.status == results::SampleStatus::kAnswered) {
            visit(stored, documents.find(stored));
          }
        });
  }

  std::vector<RejudgedSample> judge_answers(const OpenTask& open) {
    std::vector<RejudgedSample> all;
    for_each_answer(open, [&](const StoredSample& stored, const tasks::Sample& sample) {
      all.push_back(judged(*open.task, sample, stored.sample_id, stored.flags, response_of(stored)));
    });
    return all;
  }

  // Every program runs again: what is judged is what it does now.
  std::vector<RejudgedSample> judge_programs(const OpenTask& open) {
    if (!code_) start_sandbox();
    struct Program {
      const tasks::Sample* sample;
      int64_t sample_id;
      uint32_t flags;
      scorers::Response response;
    };
    std::map<uint64_t, Program> running;
    for_each_answer(open, [&](const StoredSample& stored, const tasks::Sample& sample) {
      const auto id = static_cast<uint64_t>(stored.sample_id);
      running[id] = {&sample, stored.sample_id, stored.flags, response_of(stored)};
      code_->submit(code_job(*open.task, sample, stored.output, id));
    });
    std::vector<RejudgedSample> all;
    while (std::optional<CodeOutcome> outcome = code_->next(CodeExecution::Wait::kWait)) {
      Program program = std::move(running.at(outcome->id));
      program.response.verdict = outcome->verdict;
      all.push_back(judged(*open.task, *program.sample, program.sample_id, program.flags, program.response));
      all.back().verdicts = std::move(outcome->attempts);
    }
    return all;
  }

  static RejudgedSample judged(const tasks::Task& task, const tasks::Sample& sample, int64_t sample_id,
                               uint32_t flags, const scorers::Response& response) {
    const scorers::SampleScore score = scorers::score_sample(task, sample, response);
    return {.sample_id = sample_id,
            .flags = (flags & ~scorers::kScorerFlags) | score.flags,
            .scores = score_records(score),
            .verdicts = {}};
  }

  void start_sandbox() {
    code_ = start_sandbox_execution(plan_.sandbox);
    const CodePolicy policy = code_->policy();
    store_.add_sandbox_policy(policy.sha256, policy.level, policy.layers_json);
  }

  // Only needle tasks measure text in the model's tokens.
  const tasks::TokenCounter& counter_for(const tasks::Task& task) {
    static const NoTokenizer kNone;
    if (task.kind != tasks::TaskKind::kNeedle) return kNone;
    if (!counter_) {
      tokenizer_ = std::make_unique<engine::Tokenizer>(
          engine::Tokenizer::load(plan_.model_dir.empty() ? run_.model_path : plan_.model_dir));
      counter_ = std::make_unique<TokenizerCounter>(*tokenizer_);
    }
    return *counter_;
  }

  class NoTokenizer : public tasks::TokenCounter {
   public:
    std::vector<int32_t> encode(std::string_view) const override { unused(); }
    std::string decode(std::span<const int32_t>) const override { unused(); }
    int64_t count(std::string_view) const override { unused(); }

   private:
    [[noreturn]] static void unused() { FATHOM_CHECK(false, "only needle tasks count tokens"); }
  };

  const RescorePlan& plan_;
  results::Store& store_;
  results::RunInfo run_;
  std::unique_ptr<engine::Tokenizer> tokenizer_;
  std::unique_ptr<TokenizerCounter> counter_;
  std::unique_ptr<CodeExecution> code_;
};

using MetricKey = std::tuple<std::string, std::string, std::string, std::string>;

std::map<MetricKey, std::optional<double>> values_of(const results::Database& database, int64_t run_id) {
  std::map<MetricKey, std::optional<double>> values;
  for (const results::MetricRecord& m : results::load_metrics(database, run_id)) {
    values[{m.scope, m.name, m.filter, m.estimator}] = m.value;
  }
  return values;
}

std::string value_text(const std::optional<double>& value) {
  return value ? fmt::format("{:.4f}", *value) : "-";
}

}  // namespace

int rescore(const RescorePlan& plan) {
  results::open_for_copying(plan.db);  // a misspelt name must not make a new database
  results::Store store = results::Store::open_for_writing(plan.db, version_number());
  const int64_t run_id = results::find_run(store.database(), plan.run);
  const std::vector<RejudgedTask> judged = Rescorer(plan, store, run_id).judge();
  if (judged.empty()) {
    fmt::print(stderr, "run {}: version {} of the scorers has judged every task already; nothing was done\n",
               run_id, scorers::kScorerVersion);
  } else {
    const auto before = values_of(store.database(), run_id);
    results::store_rejudged(store.database(), run_id, judged);
    int64_t n_samples = 0;
    for (const RejudgedTask& task : judged) n_samples += static_cast<int64_t>(task.samples.size());
    fmt::print(
        stderr,
        "run {}: {} answers of {} task(s) judged by version {} of the scorers; the old scores are kept\n",
        run_id, n_samples, judged.size(), scorers::kScorerVersion);
    for (const auto& [key, value] : values_of(store.database(), run_id)) {
      const auto old = before.find(key);
      if (old == before.end() || old->second == value) continue;
      const auto& [scope, name, filter, estimator] = key;
      fmt::print(stderr, "  {} {} ({}, {}): {} before, {} now\n", scope, name, filter, estimator,
                 value_text(old->second), value_text(value));
    }
  }
  fmt::print("{}", run_report(store.database(), run_id));
  return results::count_unscored(store.database(), run_id) > 0 ? kExitUnscored : kExitDone;
}

}  // namespace fathom::harness
