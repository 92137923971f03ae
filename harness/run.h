// One run from plan to table: the body of `fathom run`.
#pragma once

#include "harness/run_plan.h"

namespace fathom::harness {

/// Opens tasks, model, engine and store, runs every sample that the store does not have yet, and prints the
/// final table. Returns the exit code: 0, 6 with unscored samples, 130 or 143 after a signal. Throws Error.
int run(const RunPlan& plan);

/// `fathom run --dry-run`: renders and tokenises every prompt and prints what a run would cost. Computes
/// nothing.
int dry_run(const RunPlan& plan);

}  // namespace fathom::harness
