#include "results/judging/paired_runs.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/error.h"
#include "results/judging/run_speed.h"
#include "results/series.h"
#include "results/stored_tasks.h"

namespace fathom::results {
namespace {

using nlohmann::json;

constexpr size_t kNamedKeys = 5;

// A document in one data file and in any database.
using DocKey = std::pair<int64_t, Sha256Digest>;  // row number, content

// All repeats of one document in one run.
struct StoredDoc {
  int64_t doc_id = 0;
  std::string key;
  std::string target;
  std::string cluster;
  std::vector<Sha256Digest> prompts;  // one, unless repeats were asked differently
  std::string answer;
  Sha256 content;  // over every answer
  bool cut = false;
  std::optional<double> gold_logprob;
};

std::optional<double> gold_logprob(const Statement& row, int gold_column, int logprobs_column) {
  const std::optional<int64_t> gold = row.optional_integer(gold_column);
  const Bytes logprobs = row.bytes(logprobs_column);
  if (!gold || *gold < 0 || static_cast<size_t>(*gold) >= logprobs.size() / sizeof(double))
    return std::nullopt;
  double value = 0.0;
  std::memcpy(&value, logprobs.data() + static_cast<size_t>(*gold) * sizeof(double), sizeof value);
  return value;
}

constexpr const char* kDocsOfTask =
    "SELECT d.doc_id, d.ordinal, d.sha256, d.doc_key, d.target, d.cluster, p.ids_sha256, s.finish, s.gold,"
    "  i.choice_logprobs, i.output, i.output_ids, c.answer, s.status"
    " FROM sample s JOIN doc d USING(doc_id) JOIN prompt p USING(prompt_id) LEFT JOIN sample_io i "
    "USING(sample_id)"
    " LEFT JOIN score c ON c.sample_id = s.sample_id AND c.scoring_id ="
    "  (SELECT max(g.scoring_id) FROM scoring g WHERE g.run_task_id = ?1 AND g.headline = 1)"
    " WHERE s.run_task_id = ?1 ORDER BY d.ordinal, s.rep";

void add_repeat(const Statement& row, StoredDoc& doc) {
  const Sha256Digest prompt = row.digest(6);
  if (std::find(doc.prompts.begin(), doc.prompts.end(), prompt) == doc.prompts.end())
    doc.prompts.push_back(prompt);
  doc.cut = doc.cut || row.integer(7) == static_cast<int64_t>(Finish::kLength);
  for (int column : {9, 11}) {
    const Bytes bytes = row.bytes(column);
    doc.content.update(fmt::format("{}\n", bytes.size()));
    doc.content.update(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  const std::string output = row.text(10);
  doc.content.update(fmt::format("{}\n{}\n{}\n", row.integer(13), output.size(), output));
}

std::map<DocKey, StoredDoc> docs_of(const Database& database, int64_t run_task_id) {
  Statement rows = database.prepare(kDocsOfTask);
  std::map<DocKey, StoredDoc> docs;
  rows.query(run_task_id);
  while (rows.step()) {
    const auto [at, is_new] = docs.try_emplace({rows.integer(1), rows.digest(2)});
    StoredDoc& doc = at->second;
    if (is_new) {
      doc.doc_id = rows.integer(0);
      doc.key = rows.text(3);
      doc.target = rows.text(4);
      doc.cluster = rows.text(5);
      doc.answer = rows.text(12);
      doc.gold_logprob = gold_logprob(rows, 8, 9);
    }
    add_repeat(rows, doc);
  }
  return docs;
}

void count(const StoredDoc& doc, Unpaired& unpaired) {
  ++unpaired.n;
  if (unpaired.keys.size() < kNamedKeys) unpaired.keys.push_back(doc.key);
}

// One run's part of a task: its documents, and the values of each metric by document.
struct Side {
  const StoredTask* task = nullptr;
  std::map<DocKey, StoredDoc> docs;
  std::vector<const Series*> series;

  const Series* find_series(const std::string& metric, const std::string& filter) const {
    for (const Series* s : series) {
      if (s->name == metric && s->filter == filter) return s;
    }
    return nullptr;
  }
};

std::map<int64_t, double> values_by_doc(const Series& series) {
  std::map<int64_t, double> values;
  for (size_t i = 0; i < series.values.size(); ++i) values[series.doc_ids[i]] = series.values[i];
  return values;
}

// Where each paired document is in either run.
struct Match {
  const StoredDoc* base = nullptr;
  const StoredDoc* cand = nullptr;
};

bool has_row(const std::map<DocKey, StoredDoc>& docs, int64_t row) {
  const auto at = docs.lower_bound({row, Sha256Digest{}});
  return at != docs.end() && at->first.first == row;
}

// Planned documents are the first rows of the data. One that the other run has not stored is missing there if
// its row was planned and nothing is stored for it; else the other run asked other data, or fewer rows.
bool is_missing_in(const Side& other, int64_t row) {
  return row < other.task->n_docs && !has_row(other.docs, row);
}

std::vector<Match> match_docs(Side& base, Side& cand, PairedTask& task) {
  std::vector<Match> matches;
  for (auto& [key, doc] : base.docs) {
    const auto other = cand.docs.find(key);
    if (other == cand.docs.end()) {
      count(doc, is_missing_in(cand, key.first) ? task.cand_unscored : task.base_only);
    } else if (doc.prompts != other->second.prompts) {
      count(doc, task.prompt_differs);
    } else {
      matches.push_back({&doc, &other->second});
      task.docs.push_back({.key = doc.key,
                           .target = doc.target,
                           .base_answer = doc.answer,
                           .cand_answer = other->second.answer,
                           .identical = doc.content.finish() == other->second.content.finish()});
      task.clusters.push_back(doc.cluster);
      task.n_base_cut += doc.cut;
      task.n_cand_cut += other->second.cut;
    }
  }
  for (const auto& [key, doc] : cand.docs) {
    if (base.docs.contains(key)) continue;
    count(doc, is_missing_in(base, key.first) ? task.base_unscored : task.cand_only);
  }
  return matches;
}

PairedSeries pair_series(const Series& base, const Series& cand, const std::vector<Match>& matches) {
  PairedSeries paired{
      .metric = base.name, .filter = base.filter, .headline = base.headline, .bounds = base.bounds};
  const std::map<int64_t, double> base_values = values_by_doc(base);
  const std::map<int64_t, double> cand_values = values_by_doc(cand);
  for (size_t i = 0; i < matches.size(); ++i) {
    const auto b = base_values.find(matches[i].base->doc_id);
    const auto c = cand_values.find(matches[i].cand->doc_id);
    if (b == base_values.end() || c == cand_values.end()) continue;
    paired.base.push_back(b->second);
    paired.cand.push_back(c->second);
    paired.docs.push_back(i);
  }
  return paired;
}

PairedSeries pair_gold_logprobs(const std::vector<Match>& matches) {
  PairedSeries paired{.metric = kGoldLogprob, .filter = "none"};
  for (size_t i = 0; i < matches.size(); ++i) {
    if (!matches[i].base->gold_logprob || !matches[i].cand->gold_logprob) continue;
    paired.base.push_back(*matches[i].base->gold_logprob);
    paired.cand.push_back(*matches[i].cand->gold_logprob);
    paired.docs.push_back(i);
  }
  return paired;
}

// Paired documents without a headline score in one of the runs count as unscored there.
void count_unscored_docs(const Side& base, const Side& cand, const std::vector<Match>& matches,
                         PairedTask& task) {
  const auto headline = [](const Side& side) {
    for (const Series* s : side.series) {
      if (s->headline) return values_by_doc(*s);
    }
    return std::map<int64_t, double>{};
  };
  const std::map<int64_t, double> base_values = headline(base);
  const std::map<int64_t, double> cand_values = headline(cand);
  for (const Match& match : matches) {
    if (!base_values.contains(match.base->doc_id)) count(*match.base, task.base_unscored);
    if (!cand_values.contains(match.cand->doc_id)) count(*match.cand, task.cand_unscored);
  }
  // Planned in both and stored in neither: such a document has no row to be named by.
  int64_t n_nowhere = 0;
  for (int64_t row = 0; row < std::min(task.n_base_planned, task.n_cand_planned); ++row) {
    n_nowhere += !has_row(base.docs, row) && !has_row(cand.docs, row);
  }
  task.base_unscored.n += n_nowhere;
  task.cand_unscored.n += n_nowhere;
}

PairedTask pair_task(Side base, Side cand) {
  PairedTask task{
      .name = base.task->name, .n_base_planned = base.task->n_docs, .n_cand_planned = cand.task->n_docs};
  for (const std::string& group : base.task->groups) {
    const auto& other = cand.task->groups;
    if (std::find(other.begin(), other.end(), group) != other.end()) task.groups.push_back(group);
  }
  const std::vector<Match> matches = match_docs(base, cand, task);
  count_unscored_docs(base, cand, matches, task);
  for (const Series* series : base.series) {
    if (const Series* other = cand.find_series(series->name, series->filter)) {
      task.series.push_back(pair_series(*series, *other, matches));
    }
  }
  PairedSeries logprobs = pair_gold_logprobs(matches);
  if (!logprobs.base.empty()) task.series.push_back(std::move(logprobs));
  return task;
}

Side side_of(const Database& database, const StoredTask& task, const std::vector<Series>& all) {
  Side side{.task = &task, .docs = docs_of(database, task.run_task_id)};
  for (const Series& series : all) {
    if (series.task == task.name) side.series.push_back(&series);
  }
  return side;
}

const StoredTask* find_task(const std::vector<StoredTask>& tasks, const std::string& name) {
  const auto found =
      std::find_if(tasks.begin(), tasks.end(), [&](const StoredTask& t) { return t.name == name; });
  return found == tasks.end() ? nullptr : &*found;
}

// Beside the plan: what the store records of weights, build and machine.
std::vector<PlanDifference> recorded_differences(const RunSide& base, const RunSide& cand) {
  std::vector<PlanDifference> all;
  const auto add = [&](const char* path, const std::string& there, const std::string& here) {
    if (there != here) all.push_back({path, there, here});
  };
  const auto manifest = [](const RunInfo& info) {
    return info.manifest_sha256 ? to_hex(*info.manifest_sha256).substr(0, 12) : std::string("not hashed");
  };
  const auto step = [](const RunInfo& info) {
    return info.train_step ? std::to_string(*info.train_step) : std::string("none");
  };
  add("model", base.info.model, cand.info.model);
  add("weights", manifest(base.info), manifest(cand.info));
  add("train_step", step(base.info), step(cand.info));
  add("weights dtype", base.info.dtype, cand.info.dtype);
  add("fathom binary", base.speed.build_sha256.substr(0, 12), cand.speed.build_sha256.substr(0, 12));
  add("machine", base.speed.machine, cand.speed.machine);
  add("device", base.speed.device, cand.speed.device);
  add("threads", std::to_string(base.speed.n_threads), std::to_string(cand.speed.n_threads));
  return all;
}

bool changes_the_question(const PlanDifference& difference, const PairedRuns& runs) {
  const std::string& path = difference.path;
  if (path.starts_with("parameters.")) return path != "parameters.seed";
  if (!path.starts_with("tasks.")) return false;
  for (const PairedTask& task : runs.tasks) {
    for (const char* part : {"version", "kind", "n_shot", "spec"}) {
      const std::string prefix = fmt::format("tasks.{}.{}", task.name, part);
      if (path == prefix || path.starts_with(prefix + ".")) return true;
    }
  }
  return false;  // data and their number: seen document by document
}

}  // namespace

std::optional<int64_t> count_unexpected_changes(const PairedRuns& runs) {
  const RunInfo& base = runs.base.info;
  const RunInfo& cand = runs.cand.info;
  if (!base.manifest_sha256 || base.manifest_sha256 != cand.manifest_sha256 ||
      base.plan_sha256 != cand.plan_sha256) {
    return std::nullopt;
  }
  int64_t n = 0;
  for (const PairedTask& task : runs.tasks) {
    n += std::count_if(task.docs.begin(), task.docs.end(),
                       [](const PairedDoc& doc) { return !doc.identical; });
  }
  return n;
}

PairedRuns pair_runs(const Database& base_database, int64_t base_run, const Database& cand_database,
                     int64_t cand_run) {
  PairedRuns runs{.base = {run_info(base_database, base_run), run_speed(base_database, base_run)},
                  .cand = {run_info(cand_database, cand_run), run_speed(cand_database, cand_run)}};
  const std::vector<StoredTask> base_tasks = stored_tasks(base_database, base_run);
  const std::vector<StoredTask> cand_tasks = stored_tasks(cand_database, cand_run);
  const std::vector<Series> base_series = load_series(base_database, base_run);
  const std::vector<Series> cand_series = load_series(cand_database, cand_run);
  for (const StoredTask& task : base_tasks) {
    const StoredTask* other = find_task(cand_tasks, task.name);
    if (other == nullptr) {
      runs.only_base_tasks.push_back(task.name);
    } else {
      runs.tasks.push_back(
          pair_task(side_of(base_database, task, base_series), side_of(cand_database, *other, cand_series)));
    }
  }
  for (const StoredTask& task : cand_tasks) {
    if (find_task(base_tasks, task.name) == nullptr) runs.only_cand_tasks.push_back(task.name);
  }
  runs.provenance = recorded_differences(runs.base, runs.cand);
  for (PlanDifference& difference : plan_differences(runs.base.info.plan_json, runs.cand.info.plan_json)) {
    if (changes_the_question(difference, runs)) runs.incomparable.push_back(difference);
    runs.provenance.push_back(std::move(difference));
  }
  return runs;
}

}  // namespace fathom::results
