#include "harness/open_tasks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fathom::harness {
namespace {

// How often each document is asked: what its prompt says, which must be the same for all of them.
int64_t repeats_of(const tasks::Documents& documents) {
  return documents.samples.empty() ? 1 : documents.prompt(documents.samples.front()).repeats;
}

}  // namespace

std::vector<OpenTask> open_tasks(const RunPlan& plan, const tasks::Selection& selection,
                                 const tasks::TokenCounter& tokens) {
  std::vector<OpenTask> opened;
  for (const tasks::Task* task : selection.tasks) {
    OpenTask open{.task = task, .documents = open_task(plan.asking, *task, tokens)};
    open.n_planned = n_asked(plan.asking, open.documents);
    open.n_reps = repeats_of(open.documents);
    open.num_fewshot = plan.asking.prompt.num_fewshot.value_or(task->num_fewshot);
    opened.push_back(std::move(open));
  }
  return opened;
}

PassAtK pass_at_k(const OpenTask& open) {
  PassAtK k;
  for (int64_t wanted : open.task->pass_at_k)
    (wanted <= open.n_reps ? k.reported : k.left_out).push_back(wanted);
  return k;
}

void print_left_out_pass_at_k(std::span<const OpenTask> tasks) {
  for (const OpenTask& open : tasks) {
    const std::vector<int64_t> left_out = pass_at_k(open).left_out;
    if (left_out.empty()) continue;
    fmt::print(
        stderr,
        "fathom: note: {}: pass@{} left out: {} answers to each problem are not enough (--repeats {})\n",
        open.task->name, fmt::join(left_out, " and pass@"), open.n_reps, left_out.back());
  }
}

}  // namespace fathom::harness
