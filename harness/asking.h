// Asking: which documents are put to a model, and how: what `fathom run` and `fathom render` have in common.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tasks/registry.h"
#include "tasks/task.h"

namespace CLI {
class App;
}  // namespace CLI

namespace fathom::harness {

struct Asking {
  std::vector<std::string> tasks;      ///< as typed: groups and members
  std::filesystem::path data_dir;      ///< --data; empty: the data cache
  std::filesystem::path haystack_dir;  ///< --haystack; empty: the built-in filler
  std::optional<int64_t> limit;        ///< the first N documents of each task
  tasks::PromptOptions prompt;         ///< few-shot count, form, lengths, sampling; without the token counter
};

/// TASK..., --data, --haystack, --limit, --num-fewshot, --max-new-tokens, --repeats, --temperature, --top-p,
/// --lengths, --depths, --chat and --fewshot-as-multiturn. `asking` must outlive the parse.
void add_asking_options(CLI::App& command, Asking& asking);

/// The tasks that are named. Throws Error{kUsage} for an unknown name and for an option that none of them
/// takes.
tasks::Selection select_tasks(const Asking& asking);

/// One of them opened; the data set comes from --data or the cache. `tokens` must outlive the documents.
tasks::Documents open_task(const Asking& asking, const tasks::Task& task, const tasks::TokenCounter& tokens);

/// How many of a task's documents are asked.
int64_t n_asked(const Asking& asking, const tasks::Documents& documents);

}  // namespace fathom::harness
