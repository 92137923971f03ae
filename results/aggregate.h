// Metrics of a run: one row for each task, group, metric and filter, computed from the stored scores alone,
// so that they can be recomputed at any time and rescoring needs no engine.
#pragma once

#include <vector>

#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

/// Groups first, outermost first, then tasks in the order of the run.
std::vector<MetricRecord> compute_metrics(const Database& database, int64_t run_id);

/// Replaces the stored metrics of the run; inside a transaction of the caller.
void store_metrics(Database& database, int64_t run_id);

/// As stored, in order of display.
std::vector<MetricRecord> load_metrics(const Database& database, int64_t run_id);

}  // namespace fathom::results
