#include "harness/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/clock.h"
#include "base/progress.h"
#include "harness/throughput_report.h"
#include "results/aggregate.h"
#include "results/runs.h"
#include "scorers/score.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using results::MetricRecord;
using results::RunInfo;

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

// "mmlu" of "group:mmlu"; the kind of scope shows in the estimator's column.
std::string scope_name(const MetricRecord& metric) {
  return metric.scope.substr(metric.scope.find(':') + 1);
}

std::string metric_name(const MetricRecord& metric) {
  std::string name = metric.name;
  if (metric.filter != "none") name += "," + metric.filter;
  if (metric.estimator != "mean") name += " (" + metric.estimator + ")";
  return name;
}

std::string number_or_dash(const std::optional<double>& value) {
  return value ? fmt::format("{:.4f}", *value) : "-";
}

std::string interval(const MetricRecord& metric) {
  if (!metric.ci_low) return "-";
  return fmt::format("[{:.4f}, {:.4f}]", *metric.ci_low, *metric.ci_high);
}

size_t widest(const std::vector<MetricRecord>& metrics, std::string (*text)(const MetricRecord&),
              size_t least) {
  for (const MetricRecord& metric : metrics) least = std::max(least, text(metric).size());
  return least;
}

std::string metric_table(const std::vector<MetricRecord>& metrics) {
  const size_t scope_width = widest(metrics, scope_name, 4);
  const size_t name_width = widest(metrics, metric_name, 6);
  std::string table =
      fmt::format("{:<{}}  {:<{}}  {:>6}  {:>7}  {:>7}  {:<18}  {}\n", "task", scope_width, "metric",
                  name_width, "n", "value", "SE", "95 % interval", "methods (SE; interval)");
  for (const MetricRecord& m : metrics) {
    const std::string missing =
        m.n_missing > 0 ? fmt::format("; {} of {} missing", m.n_missing, m.n + m.n_missing) : "";
    table += fmt::format("{:<{}}  {:<{}}  {:>6}  {:>7}  {:>7}  {:<18}  {}; {}{}\n", scope_name(m),
                         scope_width, metric_name(m), name_width, m.n, number_or_dash(m.value),
                         number_or_dash(m.se), interval(m), m.se_method, m.ci_method, missing);
  }
  return table;
}

std::string rate(int64_t count, int64_t total) {
  return fmt::format("{} ({:.2f} %)", count,
                     total == 0 ? 0.0 : 100.0 * static_cast<double>(count) / static_cast<double>(total));
}

// {"error": 2, "tie": 40, ...} over the given tasks; conditions that no sample has are left out.
std::vector<std::pair<std::string, int64_t>> conditions(const results::TaskRates& rates) {
  std::vector<std::pair<std::string, int64_t>> all = {{"error", rates.n_errors}, {"reused", rates.n_reused}};
  for (size_t bit = 0; bit < rates.n_flagged.size(); ++bit) {
    for (const std::string& name : scorers::flag_names(uint32_t{1} << bit))
      all.emplace_back(name, rates.n_flagged[bit]);
  }
  std::erase_if(all, [](const auto& entry) { return entry.second == 0; });
  return all;
}

std::string rates_text(const std::vector<results::TaskRates>& all) {
  std::string text;
  for (const results::TaskRates& rates : all) {
    std::vector<std::string> parts;
    for (const auto& [name, count] : conditions(rates))
      parts.push_back(fmt::format("{} {}", name, rate(count, rates.n_samples)));
    if (!parts.empty()) text += fmt::format("{}: {}\n", rates.task, fmt::join(parts, ", "));
  }
  return text.empty() ? "flags: none\n" : "flags by task\n" + text;
}

int64_t n_reused(const std::vector<results::TaskRates>& all) {
  int64_t n = 0;
  for (const results::TaskRates& rates : all) n += rates.n_reused;
  return n;
}

std::string reuse_note(const std::vector<results::TaskRates>& all) {
  const int64_t n = n_reused(all);
  return n == 0
             ? ""
             : fmt::format("reused: {} of these samples were computed by other runs of the same model\n", n);
}

std::string heading(const RunInfo& info, int64_t n_unscored) {
  std::string text =
      fmt::format("run {}{}: {}, {} UTC", info.run_id, info.name.empty() ? "" : " " + info.name,
                  results::run_status_name(info.status), format_utc(info.created_us));
  if (info.finished_us) {
    text +=
        fmt::format(", {}", format_duration(static_cast<double>(*info.finished_us - info.created_us) / 1e6));
  }
  if (!info.why.empty()) text += " (" + info.why + ")";
  text += fmt::format("\nmodel {}", info.model);
  if (info.train_step) text += fmt::format(", step {}", *info.train_step);
  text += info.manifest_sha256
              ? fmt::format(", {}, checkpoint {}", info.dtype, to_hex(*info.manifest_sha256).substr(0, 12))
              : ", weights not yet hashed";
  text += fmt::format("\nsamples {} of {} stored", info.n_stored, info.n_planned);
  if (info.n_errors > 0) text += fmt::format(", {} without an answer", info.n_errors);
  if (n_unscored > info.n_errors)
    text += fmt::format(", {} that could not be judged", n_unscored - info.n_errors);
  return text + "\n";
}

// The stored metrics, or those of the samples so far when the run has not ended.
std::vector<MetricRecord> current_metrics(const results::Database& database, const RunInfo& info) {
  if (info.status != results::RunStatus::kRunning) return results::load_metrics(database, info.run_id);
  return results::compute_metrics(database, info.run_id);
}

json metric_json(const MetricRecord& m) {
  return {{"scope", m.scope},
          {"metric", m.name},
          {"filter", m.filter},
          {"estimator", m.estimator},
          {"value", or_null(m.value)},
          {"n", m.n},
          {"n_missing", m.n_missing},
          {"n_clusters", or_null(m.n_clusters)},
          {"se", or_null(m.se)},
          {"se_method", m.se_method},
          {"ci", m.ci_low ? json{*m.ci_low, *m.ci_high} : json(nullptr)},
          {"ci_level", m.ci_level},
          {"ci_method", m.ci_method},
          {"lmeval_stderr", or_null(m.lmeval_se)},
          {"lmeval_stderr_method", m.lmeval_se ? json(m.lmeval_se_method) : json(nullptr)},
          {"headline", m.headline}};
}

}  // namespace

std::string run_report(const results::Database& database, int64_t run_id) {
  const RunInfo info = results::run_info(database, run_id);
  const std::vector<results::TaskRates> rates = results::task_rates(database, run_id);
  return heading(info, results::count_unscored(database, run_id)) + reuse_note(rates) + "\n" +
         metric_table(current_metrics(database, info)) + "\n" + rates_text(rates) +
         throughput_text(database, run_id);
}

json run_report_json(const results::Database& database, int64_t run_id) {
  const RunInfo info = results::run_info(database, run_id);
  json metrics = json::array();
  for (const MetricRecord& metric : current_metrics(database, info)) metrics.push_back(metric_json(metric));
  json rates = json::object();
  const std::vector<results::TaskRates> all_rates = results::task_rates(database, run_id);
  for (const results::TaskRates& task : all_rates) {
    json& counts = rates[task.task] = {{"samples", task.n_samples}};
    for (const auto& [name, count] : conditions(task)) counts[name] = count;
  }
  return {
      {"run", info.run_id},
      {"uuid", info.uuid},
      {"name", info.name},
      {"tags", info.tags},
      {"status", results::run_status_name(info.status)},
      {"why", info.why},
      {"created", format_utc(info.created_us)},
      {"duration_s", info.finished_us ? json(static_cast<double>(*info.finished_us - info.created_us) / 1e6)
                                      : json(nullptr)},
      {"model", info.model},
      {"model_path", info.model_path},
      {"train_step", or_null(info.train_step)},
      {"checkpoint_sha256", info.manifest_sha256 ? json(to_hex(*info.manifest_sha256)) : json(nullptr)},
      {"plan_sha256", to_hex(info.plan_sha256)},
      {"plan", json::parse(info.plan_json)},
      {"options", json::parse(info.options_json)},
      {"samples_planned", info.n_planned},
      {"samples_stored", info.n_stored},
      {"samples_without_answer", info.n_errors},
      {"samples_without_score", results::count_unscored(database, run_id)},
      {"samples_reused", n_reused(all_rates)},
      {"metrics", std::move(metrics)},
      {"throughput", throughput_json(database, run_id)},
      {"flags", std::move(rates)}};
}

json sample_json(const results::StoredSample& sample) {
  json answers = json::object();
  json scores = json::object();
  for (const results::StoredScore& score : sample.scores) {
    answers[score.filter] = score.answer;
    scores[score.filter == "none" ? score.metric : score.metric + "," + score.filter] = or_null(score.value);
  }
  json line = {{"task", sample.task},
               {"doc_id", sample.ordinal},
               {"prompt_sha256", to_hex(sample.prompt_sha256)},
               {"ids_sha256", to_hex(sample.ids_sha256)},
               {"choice_logprobs", sample.choice_logprobs},
               {"is_greedy", sample.choice_greedy},
               {"ids", sample.output_ids},
               {"text", sample.output},
               {"finish_reason", results::finish_name(sample.finish)},
               {"answers", std::move(answers)},
               {"scores", std::move(scores)},
               {"outcome", results::outcome_name(sample.outcome())},
               {"flags", scorers::flag_names(sample.flags)},
               {"target", sample.target}};
  if (sample.reused_from) line["reused_from"] = *sample.reused_from;
  if (sample.n_reps > 1) line["rep"] = sample.rep;
  if (!sample.verdicts.empty()) line["verdict"] = sample.verdicts.back().verdict;
  if (!sample.error.empty()) line["error"] = sample.error;
  return line;
}

}  // namespace fathom::harness
