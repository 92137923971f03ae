#include "harness/comparison_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "harness/text_table.h"
#include "results/judging/paired_scope.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using results::Change;
using results::Comparison;
using results::PairedRuns;
using results::PairedTask;
using results::ScopeComparison;
using results::Unpaired;

constexpr double kSignificant = 0.05;
constexpr size_t kAnswerShown = 24;

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.4f}", *value) : "-";
}

std::string scope_name(const ScopeComparison& row) {
  return row.scope.substr(row.scope.find(':') + 1);
}

std::string metric_name(const ScopeComparison& row) {
  return row.filter == "none" ? row.metric : row.metric + "," + row.filter;
}

bool is_task(const ScopeComparison& row) {
  return row.scope.starts_with("task:");
}

// By the corrected p where there is one.
std::string reading(const ScopeComparison& row) {
  const std::optional<double> p = row.q ? row.q : row.p;
  if (row.n > 0 && row.n_identical == row.n) return "identical answers";
  if (!p) return "too few documents";
  if (*p > kSignificant) return "no change seen";
  return *row.difference.value < 0 ? "worse" : "better";
}

// Groups, and tasks that belong to none: every metric.
std::string scope_table(const PairedRuns& runs, const Comparison& comparison) {
  const std::vector<std::string> top_level = results::top_level_scopes(runs.tasks);
  TextTable table("llrrrrlrrl",
                  {"scope", "metric", "n", "base", "cand", "change", "95 % interval", "p", "MDE", "reading"});
  for (const ScopeComparison& row : comparison.scopes) {
    if (is_task(row) && std::find(top_level.begin(), top_level.end(), row.scope) == top_level.end()) continue;
    ScopeComparison alone = row;
    alone.q.reset();  // one number each: nothing to correct for
    table.add({scope_name(row), metric_name(row), std::to_string(row.n), number(row.base), number(row.cand),
               signed_number(row.difference.value), signed_interval(row.difference), p_value(row.p),
               number(row.mde), reading(alone)});
  }
  return table.text();
}

const ScopeComparison* gold_logprob_of(const Comparison& comparison, const std::string& scope) {
  for (const ScopeComparison& row : comparison.scopes) {
    if (row.scope == scope && row.metric == results::kGoldLogprob) return &row;
  }
  return nullptr;
}

// The tasks' headline metrics side by side with their log-probabilities.
std::string task_table(const Comparison& comparison) {
  TextTable table("lrrrrlrrrrrrrl", {"task", "n", "base", "cand", "change", "95 % interval", "worse",
                                     "better", "p", "q", "MDE", "log p", "q", "reading"});
  for (const ScopeComparison& row : comparison.scopes) {
    if (!is_task(row) || !row.headline) continue;
    const ScopeComparison* logprob = gold_logprob_of(comparison, row.scope);
    table.add({scope_name(row), std::to_string(row.n), number(row.base), number(row.cand),
               signed_number(row.difference.value), signed_interval(row.difference),
               row.flips ? std::to_string(row.flips->lost) : "-",
               row.flips ? std::to_string(row.flips->won) : "-", p_value(row.p), p_value(row.q),
               number(row.mde), logprob ? signed_number(logprob->difference.value) : "-",
               logprob ? p_value(logprob->q) : "-", reading(row)});
  }
  return table.text();
}

std::string bootstrap_lines(const Comparison& comparison) {
  std::string text;
  for (const ScopeComparison& row : comparison.scopes) {
    if (!row.bootstrap) continue;
    text += fmt::format("{} {}: bootstrap interval [{:+.4f}, {:+.4f}] ({} draws, seed {})\n", scope_name(row),
                        metric_name(row), row.bootstrap->interval.low, row.bootstrap->interval.high,
                        row.bootstrap_options.n_draws, row.bootstrap_options.seed);
  }
  return text;
}

struct UnpairedPart {
  const char* key;
  const char* words;
  Unpaired PairedTask::* part;
};

constexpr UnpairedPart kUnpairedParts[] = {
    {"prompt_differs", "asked with another prompt", &PairedTask::prompt_differs},
    {"only_base", "only in the base", &PairedTask::base_only},
    {"only_candidate", "only in the candidate", &PairedTask::cand_only},
    {"unscored_base", "without a score in the base", &PairedTask::base_unscored},
    {"unscored_candidate", "without a score in the candidate", &PairedTask::cand_unscored},
};

std::string pairing_text(const PairedRuns& runs) {
  size_t n_paired = 0;
  std::string unpaired;
  for (const PairedTask& task : runs.tasks) {
    n_paired += task.docs.size();
    for (const UnpairedPart& part : kUnpairedParts) {
      const Unpaired& found = task.*part.part;
      if (found.n == 0) continue;
      unpaired += fmt::format("  {}: {} {}", task.name, found.n, part.words);
      if (!found.keys.empty()) {
        unpaired += fmt::format(" ({}{})", fmt::join(found.keys, ", "),
                                static_cast<int64_t>(found.keys.size()) < found.n ? ", ..." : "");
      }
      unpaired += "\n";
    }
  }
  for (const std::string& task : runs.only_base_tasks)
    unpaired += fmt::format("  {}: only in the base\n", task);
  for (const std::string& task : runs.only_cand_tasks)
    unpaired += fmt::format("  {}: only in the candidate\n", task);
  return fmt::format("paired: {} documents with identical prompts in {} task{}; {}\n{}", n_paired,
                     runs.tasks.size(), runs.tasks.size() == 1 ? "" : "s",
                     unpaired.empty() ? "nothing is unpaired" : "unpaired:", unpaired);
}

// One answer on one line, safe for a terminal.
std::string shown_answer(const std::string& answer) {
  return json_quoted(answer, kAnswerShown);
}

std::string changes_text(const Comparison& comparison, size_t n_changes) {
  const size_t n_all = comparison.lost.size() + comparison.won.size();
  std::string text = fmt::format("flips: {} documents with a lower score, {} with a higher",
                                 comparison.lost.size(), comparison.won.size());
  if (n_all == 0) return text + "\n";
  if (std::max(comparison.lost.size(), comparison.won.size()) > n_changes) {
    text += fmt::format("; the largest {} of each (--flips all shows every one)", n_changes);
  }
  text += "\n";
  if (n_changes == 0) return text;
  TextTable table("lllllrr", {"", "task", "document", "target", "answer", "score", "log p"});
  for (const auto& [word, list] :
       {std::pair("worse", &comparison.lost), std::pair("better", &comparison.won)}) {
    for (size_t i = 0; i < std::min(n_changes, list->size()); ++i) {
      const Change& c = (*list)[i];
      table.add({word, c.task, shown_answer(c.doc), shown_answer(c.target),
                 fmt::format("{} -> {}", shown_answer(c.base_answer), shown_answer(c.cand_answer)),
                 fmt::format("{:g} -> {:g}", c.base, c.cand), signed_number(c.gold_logprob_change)});
    }
  }
  return text + table.text("  ") +
         fmt::format("whole answers: fathom samples RUN --db FILE --task {}\n",
                     comparison.lost.empty() ? comparison.won[0].task : comparison.lost[0].task);
}

std::string speed_text(const PairedRuns& runs) {
  TextTable table("lrrrrlr", {"speed", "samples", "seconds", "samples/s", "tokens/s", "device", "threads"});
  for (const auto& [word, side] : {std::pair("base", &runs.base), std::pair("candidate", &runs.cand)}) {
    const results::RunSpeed& speed = side->speed;
    table.add({word, std::to_string(speed.n_samples), fmt::format("{:.1f}", speed.seconds),
               fmt::format("{:.2f}", speed.samples_per_s()), fmt::format("{:.1f}", speed.tokens_per_s()),
               speed.device, std::to_string(speed.n_threads)});
  }
  std::string text = table.text();
  const double base = runs.base.speed.tokens_per_s();
  if (base > 0.0) {
    text +=
        fmt::format("candidate: {:+.1f} % tokens/s\n", 100 * (runs.cand.speed.tokens_per_s() / base - 1.0));
  }
  return text;
}

std::string differences_text(const PairedRuns& runs) {
  if (runs.provenance.empty()) return "what differs: nothing that is recorded\n";
  TextTable table("lll", {"what differs", "base", "candidate"});
  for (const results::PlanDifference& d : runs.provenance) {
    table.add({d.path, d.there.value_or("-"), d.here.value_or("-")});
  }
  std::string text = table.text();
  if (!runs.incomparable.empty()) {
    text += fmt::format(
        "not the same question: {} of these change what was asked; the differences above are not the "
        "model's alone\n",
        runs.incomparable.size());
  }
  return text;
}

json unpaired_json(const PairedTask& task) {
  json object = {{"task", task.name},
                 {"planned_base", task.n_base_planned},
                 {"planned_candidate", task.n_cand_planned},
                 {"paired", task.docs.size()}};
  for (const UnpairedPart& part : kUnpairedParts) {
    object[part.key] = {{"n", (task.*part.part).n}, {"first", (task.*part.part).keys}};
  }
  return object;
}

json scope_json(const ScopeComparison& row) {
  json object = {{"scope", row.scope},
                 {"metric", row.metric},
                 {"filter", row.filter},
                 {"headline", row.headline},
                 {"n", row.n},
                 {"n_identical", row.n_identical},
                 {"base", or_null(row.base)},
                 {"candidate", or_null(row.cand)},
                 {"worse", row.flips ? json(row.flips->lost) : json(nullptr)},
                 {"better", row.flips ? json(row.flips->won) : json(nullptr)},
                 {"test", row.test},
                 {"p", or_null(row.p)},
                 {"mid_p", or_null(row.mid_p)},
                 {"q", or_null(row.q)},
                 {"mde80", or_null(row.mde)},
                 {"bootstrap", nullptr}};
  add_difference_json(row.difference, results::kConfidenceLevel, object);
  if (row.bootstrap) {
    object["bootstrap"] = {{"ci", {row.bootstrap->interval.low, row.bootstrap->interval.high}},
                           {"se", row.bootstrap->se},
                           {"draws", row.bootstrap_options.n_draws},
                           {"seed", row.bootstrap_options.seed}};
  }
  return object;
}

json changes_json(const std::vector<Change>& changes, size_t n_changes) {
  json list = json::array();
  for (size_t i = 0; i < std::min(n_changes, changes.size()); ++i) {
    const Change& c = changes[i];
    list.push_back({{"task", c.task},
                    {"doc", c.doc},
                    {"target", c.target},
                    {"base", c.base},
                    {"candidate", c.cand},
                    {"base_answer", c.base_answer},
                    {"candidate_answer", c.cand_answer},
                    {"gold_logprob_change", or_null(c.gold_logprob_change)}});
  }
  return list;
}

json speed_json(const results::RunSpeed& speed) {
  return {{"samples", speed.n_samples},
          {"tokens", speed.n_tokens},
          {"seconds", speed.seconds},
          {"samples_per_s", speed.samples_per_s()},
          {"tokens_per_s", speed.tokens_per_s()},
          {"device", speed.device},
          {"threads", speed.n_threads}};
}

}  // namespace

std::string signed_number(const std::optional<double>& value) {
  return value ? fmt::format("{:+.4f}", *value) : "-";
}

std::string signed_interval(const results::Estimate& estimate) {
  return estimate.ci_low ? fmt::format("[{:+.4f}, {:+.4f}]", *estimate.ci_low, *estimate.ci_high) : "-";
}

std::string p_value(const std::optional<double>& p) {
  if (!p) return "-";
  return *p != 0.0 && *p < 0.0001 ? fmt::format("{:.1e}", *p) : fmt::format("{:.4f}", *p);
}

std::string run_line(const results::RunInfo& info) {
  std::string text =
      fmt::format("run {}{}: {}", info.run_id, info.name.empty() ? "" : " " + info.name, info.model);
  if (info.train_step) text += fmt::format(", step {}", *info.train_step);
  if (info.manifest_sha256) text += ", checkpoint " + to_hex(*info.manifest_sha256).substr(0, 12);
  return text + fmt::format(", {}", results::run_status_name(info.status));
}

json run_json(const results::RunInfo& info) {
  return {{"run", info.run_id},
          {"uuid", info.uuid},
          {"name", info.name},
          {"model", info.model},
          {"train_step", or_null(info.train_step)},
          {"checkpoint_sha256", info.manifest_sha256 ? json(to_hex(*info.manifest_sha256)) : json(nullptr)},
          {"plan_sha256", to_hex(info.plan_sha256)},
          {"status", results::run_status_name(info.status)}};
}

void add_difference_json(const results::Estimate& difference, double level, json& object) {
  object["change"] = or_null(difference.value);
  object["se"] = or_null(difference.se);
  object["se_method"] = difference.se_method;
  object["ci"] = difference.ci_low ? json{*difference.ci_low, *difference.ci_high} : json(nullptr);
  object["ci_level"] = level;
  object["ci_method"] = difference.ci_method;
}

std::string comparison_report(const PairedRuns& runs, const Comparison& comparison, size_t n_changes) {
  std::string text = fmt::format("base       {}\ncandidate  {}\n\n{}\n", run_line(runs.base.info),
                                 run_line(runs.cand.info), pairing_text(runs));
  text += scope_table(runs, comparison) + bootstrap_lines(comparison);
  text +=
      "MDE: the change that this comparison finds with 80 % probability; smaller ones can hide in \"no "
      "change seen\"\n\n";
  if (runs.tasks.size() > 1) {
    text += task_table(comparison) + "q: Benjamini-Hochberg over the tasks; log p: of the right choice\n\n";
  }
  if (comparison.n_unexpected.value_or(0) > 0) {
    text += fmt::format(
        "warning: the same weights under the same plan answered {} documents otherwise: one of the two "
        "builds breaks the numerics contract\n\n",
        *comparison.n_unexpected);
  }
  return text + changes_text(comparison, n_changes) + "\n" + speed_text(runs) + "\n" + differences_text(runs);
}

json comparison_json(const PairedRuns& runs, const Comparison& comparison, size_t n_changes) {
  json scopes = json::array();
  for (const ScopeComparison& row : comparison.scopes) scopes.push_back(scope_json(row));
  json pairing = json::array();
  for (const PairedTask& task : runs.tasks) pairing.push_back(unpaired_json(task));
  json differences = json::array();
  for (const results::PlanDifference& d : runs.provenance) {
    differences.push_back({{"what", d.path}, {"base", or_null(d.there)}, {"candidate", or_null(d.here)}});
  }
  return {{"base", run_json(runs.base.info)},
          {"candidate", run_json(runs.cand.info)},
          {"pairing", std::move(pairing)},
          {"tasks_only_in_base", runs.only_base_tasks},
          {"tasks_only_in_candidate", runs.only_cand_tasks},
          {"scopes", std::move(scopes)},
          {"changes",
           {{"n_worse", comparison.lost.size()},
            {"n_better", comparison.won.size()},
            {"worse", changes_json(comparison.lost, n_changes)},
            {"better", changes_json(comparison.won, n_changes)}}},
          {"unexpected_changes", or_null(comparison.n_unexpected)},
          {"speed", {{"base", speed_json(runs.base.speed)}, {"candidate", speed_json(runs.cand.speed)}}},
          {"differences", std::move(differences)},
          {"same_questions", runs.incomparable.empty()}};
}

}  // namespace fathom::harness
