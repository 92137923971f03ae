// What `fathom compare` prints, and the same as JSON (docs/compare.md has the format).
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "results/judging/comparison.h"

namespace fathom::harness {

/// At most `n_changes` documents of either direction are listed.
std::string comparison_report(const results::PairedRuns& runs, const results::Comparison& comparison,
                              size_t n_changes);
nlohmann::json comparison_json(const results::PairedRuns& runs, const results::Comparison& comparison,
                               size_t n_changes);

// Parts that the gate's report has too.

/// "run 3 nightly: lite, step 1000, checkpoint 0123456789ab, complete"
std::string run_line(const results::RunInfo& info);
nlohmann::json run_json(const results::RunInfo& info);

/// "+0.0123", "-"
std::string signed_number(const std::optional<double>& value);
/// "[-0.0100, +0.0200]", "-"
std::string signed_interval(const results::Estimate& estimate);
/// "0.0123", "1.2e-08", "-"
std::string p_value(const std::optional<double>& p);

/// The estimate's fields under the names of docs/compare.md, added to `object`.
void add_difference_json(const results::Estimate& difference, double level, nlohmann::json& object);

}  // namespace fathom::harness
