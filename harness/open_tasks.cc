#include "harness/open_tasks.h"

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

}  // namespace fathom::harness
