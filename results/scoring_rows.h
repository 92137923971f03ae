// The scorings of a task of a run: which scorers, of which version, have judged its samples.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

/// Ids in the order of `scorings`. Inside a transaction of the caller.
std::vector<int64_t> insert_scorings(Database& database, const std::vector<ScoringRecord>& scorings,
                                     int64_t run_task_id);

/// Ids in the order of `scorings`; nothing when one of them is not there under its version.
std::optional<std::vector<int64_t>> find_scorings(const Database& database,
                                                  const std::vector<ScoringRecord>& scorings,
                                                  int64_t run_task_id);

}  // namespace fathom::results
