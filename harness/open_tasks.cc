#include "harness/open_tasks.h"

#include <algorithm>

#include "base/error.h"
#include "harness/data/resolve.h"

namespace fathom::harness {
namespace {

// How often each document is asked: what its prompt says, which must be the same for all of them.
int64_t repeats_of(const tasks::Documents& documents) {
  return documents.samples.empty() ? 1 : documents.prompt(documents.samples.front()).repeats;
}

}  // namespace

std::vector<OpenTask> open_tasks(const RunPlan& plan, const tasks::Selection& selection,
                                 const tasks::TokenCounter& tokens) {
  tasks::PromptOptions options = plan.prompt;
  options.tokens = &tokens;
  std::vector<OpenTask> opened;
  for (const tasks::Task* task : selection.tasks) {
    tasks::DataSource source{.root = {}, .haystack = plan.haystack_dir};
    if (!task->dataset.empty()) source.root = resolve_data_folder(task->dataset, plan.data_dir);
    OpenTask open{.task = task, .documents = tasks::open_documents(*task, source, options)};
    open.n_planned = static_cast<int64_t>(open.documents.samples.size());
    if (plan.limit) open.n_planned = std::min(open.n_planned, *plan.limit);
    open.n_reps = repeats_of(open.documents);
    open.num_fewshot = plan.prompt.num_fewshot.value_or(task->num_fewshot);
    opened.push_back(std::move(open));
  }
  return opened;
}

}  // namespace fathom::harness
