// A run as its reader sees it: the final table of `fathom run` and `fathom show`, and the same as JSON.
// Everything comes from the results database.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "results/samples.h"
#include "results/sqlite.h"

namespace fathom::harness {

/// What was run, then one line a metric: value, standard error, 95 % interval and the methods behind them;
/// then the rates of errors and flags.
std::string run_report(const results::Database& database, int64_t run_id);

/// The same for programs, with lm-eval's own standard errors beside ours.
nlohmann::json run_report_json(const results::Database& database, int64_t run_id);

/// One line of `fathom samples`.
nlohmann::json sample_json(const results::StoredSample& sample);

}  // namespace fathom::harness
