// What a run computed and how long it took: the totals of its throughput record, and where it ran.
#pragma once

#include "results/judging/paired_runs.h"

namespace fathom::results {

/// Reused samples cost nothing and count as nothing. Machine, device, threads and build are the last
/// attempt's.
RunSpeed run_speed(const Database& database, int64_t run_id);

}  // namespace fathom::results
