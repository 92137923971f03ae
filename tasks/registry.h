// The table of all tasks and groups, and how names on the command line select from it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/task.h"

namespace fathom::tasks {

/// What the names of a command line mean: each task once, in registry order, and every group whose members
/// are all among them.
struct Selection {
  std::vector<const Task*> tasks;
  std::vector<const Group*> groups;
};

/// All tasks, families together, in the order of `fathom list tasks`.
const std::vector<Task>& all_tasks();

/// All groups. "mmlu_stem" and its three sisters follow lm-eval's category map, "mmlu_stem@original" and
/// hers the original one (they differ by anatomy).
const std::vector<Group>& all_groups();

/// Throws Error{kUsage} naming the nearest known names when one of `names` is neither task nor group.
Selection select_tasks(std::span<const std::string> names);

/// The task called `name`; lm-eval's names of the same task are accepted. Throws like select_tasks.
const Task& find_task(std::string_view name);

/// The group called `name`, which must be one.
const Group& find_group(std::string_view name);

/// Throws Error{kUsage} for an option that no task of the selection looks at.
void require_options_used(const Selection& selection, const PromptOptions& options);

}  // namespace fathom::tasks
