// The tasks of a plan with their documents open, ready to be asked.
#pragma once

#include <span>
#include <vector>

#include "harness/run_plan.h"
#include "harness/work_feed.h"
#include "tasks/registry.h"

namespace fathom::harness {

/// Opens every task of `selection` under the plan's options. `tokens` must outlive the result. Throws Error:
/// options a task does not take, data that is missing (the message names the command that gets it) or broken.
std::vector<OpenTask> open_tasks(const RunPlan& plan, const tasks::Selection& selection,
                                 const tasks::TokenCounter& tokens);

/// The k of pass@k that a task reports: those that the number of answers to each problem can estimate.
struct PassAtK {
  std::vector<int64_t> reported;
  std::vector<int64_t> left_out;  ///< the task's others, which need more answers
};
PassAtK pass_at_k(const OpenTask& open);

/// Says on standard error which pass@k are left out and why; nothing when none is.
void print_left_out_pass_at_k(std::span<const OpenTask> tasks);

}  // namespace fathom::harness
