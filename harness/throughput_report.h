// The throughput of a stored run as it stands beside its scores.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "results/sqlite.h"

namespace fathom::harness {

/// Two or three lines: rates and cost a sample, latencies, memory; empty for a run without ticks.
std::string throughput_text(const results::Database& database, int64_t run_id);

/// The same and more as JSON; null for a run without ticks.
nlohmann::json throughput_json(const results::Database& database, int64_t run_id);

}  // namespace fathom::harness
