// The tasks of a plan with their documents open, ready to be asked.
#pragma once

#include <vector>

#include "harness/run_plan.h"
#include "harness/work_feed.h"
#include "tasks/registry.h"

namespace fathom::harness {

/// Opens every task of `selection` under the plan's options. `tokens` must outlive the result. Throws Error:
/// options a task does not take, data that is missing (the message names the command that gets it) or broken.
std::vector<OpenTask> open_tasks(const RunPlan& plan, const tasks::Selection& selection,
                                 const tasks::TokenCounter& tokens);

}  // namespace fathom::harness
