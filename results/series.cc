#include "results/series.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "results/records.h"
#include "results/statistics/pass_at_k.h"

namespace fathom::results {
namespace {

struct Scoring {
  int64_t scoring_id = 0;
  std::string metric;
  std::vector<int64_t> pass_k;
  Series series;  // all but name and values
};

std::vector<int64_t> pass_k_of(const std::string& params_text) {
  const auto params = nlohmann::json::parse(params_text);
  return params.value("k", std::vector<int64_t>{});
}

std::vector<Scoring> load_scorings(const Database& database, int64_t run_id) {
  Statement rows = database.prepare(
      "SELECT c.scoring_id, rt.position, t.name, rt.groups, rt.n_docs, c.metric, c.filter, c.kind, c.low, "
      "c.high,"
      "  c.params, c.headline"
      " FROM scoring c JOIN run_task rt USING(run_task_id) JOIN task t USING(task_id)"
      " WHERE rt.run_id = ? AND c.scoring_id = (SELECT max(n.scoring_id) FROM scoring n WHERE"
      "  n.run_task_id = c.run_task_id AND n.metric = c.metric AND n.filter = c.filter)"
      " ORDER BY rt.position, c.scoring_id");
  std::vector<Scoring> scorings;
  rows.query(run_id);
  while (rows.step()) {
    Scoring scoring{
        .scoring_id = rows.integer(0), .metric = rows.text(5), .pass_k = pass_k_of(rows.text(10))};
    Series& series = scoring.series;
    series.position = static_cast<size_t>(rows.integer(1));
    series.task = rows.text(2);
    series.groups = nlohmann::json::parse(rows.text(3)).get<std::vector<std::string>>();
    series.n_planned = rows.integer(4);
    series.name = rows.text(5);
    series.filter = rows.text(6);
    if (score_kind_from_name(rows.text(7)) != ScoreKind::kReal) series.bounds = {rows.real(8), rows.real(9)};
    series.headline = rows.integer(11) != 0;
    scorings.push_back(std::move(scoring));
  }
  return scorings;
}

// The repeats of one document.
struct Item {
  int64_t doc_id = 0;
  std::string cluster;
  std::vector<double> values;
};

std::vector<Item> load_items(const Database& database, int64_t scoring_id) {
  Statement rows = database.prepare(
      "SELECT s.doc_id, d.cluster, c.value FROM score c JOIN sample s USING(sample_id) JOIN doc d "
      "USING(doc_id)"
      " WHERE c.scoring_id = ? AND c.value IS NOT NULL ORDER BY s.doc_id, s.rep");
  std::vector<Item> items;
  rows.query(scoring_id);
  while (rows.step()) {
    const int64_t doc_id = rows.integer(0);
    if (items.empty() || items.back().doc_id != doc_id) items.push_back({doc_id, rows.text(1), {}});
    items.back().values.push_back(rows.real(2));
  }
  return items;
}

double mean(const std::vector<double>& values) {
  double sum = 0.0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

Series with_values(const Series& frame, const std::vector<Item>& items, std::optional<int64_t> k) {
  Series series = frame;
  for (const Item& item : items) {
    const auto n = static_cast<int64_t>(item.values.size());
    if (k && n < *k) continue;  // too few answers for this k: the item is missing
    const auto n_passed = std::count(item.values.begin(), item.values.end(), 1.0);
    series.values.push_back(k ? pass_at_k(n, n_passed, *k) : mean(item.values));
    series.clusters.push_back(item.cluster);
    series.doc_ids.push_back(item.doc_id);
  }
  return series;
}

}  // namespace

std::vector<Series> load_series(const Database& database, int64_t run_id) {
  std::vector<Series> all;
  for (const Scoring& scoring : load_scorings(database, run_id)) {
    const std::vector<Item> items = load_items(database, scoring.scoring_id);
    if (scoring.pass_k.empty()) {
      all.push_back(with_values(scoring.series, items, std::nullopt));
      continue;
    }
    for (size_t i = 0; i < scoring.pass_k.size(); ++i) {
      Series series = with_values(scoring.series, items, scoring.pass_k[i]);
      // A sample of pass@1 is one answer; any k follows from how many of a document's answers passed.
      series.name =
          fmt::format("{}@{}", scoring.metric.substr(0, scoring.metric.find('@')), scoring.pass_k[i]);
      series.headline = series.headline && i == 0;
      all.push_back(std::move(series));
    }
  }
  return all;
}

}  // namespace fathom::results
