// Scores as statistics need them: for each task of a run and each metric, one value an item, from the store.
//
// Repeats of a document are averaged first (or turned into pass@k), so that the items of a series are
// independent. An item without any score is missing; it is never a zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/sqlite.h"
#include "results/statistics/estimate.h"

namespace fathom::results {

struct Series {
  size_t position = 0;  ///< of the task in the run
  std::string task;
  std::vector<std::string> groups;
  std::string name;  ///< "acc", "pass@10"
  std::string filter;
  bool headline = false;
  std::optional<Bounds> bounds;
  int64_t n_planned = 0;
  std::vector<double> values;         ///< one an item with a score, by document
  std::vector<std::string> clusters;  ///< beside the values
  std::vector<int64_t> doc_ids;       ///< beside the values
};

/// Every series of a run, by position of the task, then in the order of its scorings. Where a task was scored
/// again the newest scoring of each metric and filter counts.
std::vector<Series> load_series(const Database& database, int64_t run_id);

}  // namespace fathom::results
