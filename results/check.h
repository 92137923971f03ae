// Checking a database: SQLite's own checks, then what fathom promises about the content.
//
// Hashes name what they say: plans, specifications, texts, manifests. A complete run has every planned sample
// and names its weights; the counters beside the samples are right; every answered sample has a score from
// the newest version of each scorer; stored metrics are what the stored scores give.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/sqlite.h"

namespace fathom::results {

struct CheckReport {
  int64_t n_runs = 0;
  int64_t n_samples = 0;
  std::vector<std::string>
      problems;  ///< each names the table or run; at most kMostProblems, then one that counts
};

inline constexpr size_t kMostProblems = 50;

/// Reads every page. What cannot be read is a problem, not an exception.
CheckReport check_database(const Database& database);

}  // namespace fathom::results
