#include "tasks/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "tasks/embedded_data.h"
#include "tasks/gsm8k.h"
#include "tasks/humaneval.h"
#include "tasks/mmlu.h"
#include "tasks/needle.h"

namespace fathom::tasks {
namespace {

std::vector<Task> build_tasks() {
  std::vector<Task> tasks;
  for (std::vector<Task> family : {mmlu_tasks(), gsm8k_tasks(), humaneval_tasks(), needle_tasks()}) {
    std::move(family.begin(), family.end(), std::back_inserter(tasks));
  }
  return tasks;
}

// What each name and alias selects: one task, or all members of a group.
using NameTable = std::unordered_map<std::string_view, std::vector<const Task*>>;

NameTable build_names() {
  NameTable names;
  auto add = [&names](std::string_view name, const std::vector<const Task*>& tasks) {
    FATHOM_CHECK(names.emplace(name, tasks).second, "two tasks or groups {}", name);
  };
  for (const Task& task : all_tasks()) add(task.name, {&task});
  for (const Group& group : all_groups()) {
    std::vector<const Task*> members;
    for (const std::string& member : group.members) {
      const auto found = names.find(member);
      FATHOM_CHECK(found != names.end(), "{} has an unknown member {}", group.name, member);
      members.push_back(found->second[0]);
    }
    add(group.name, members);
  }
  // Aliases last, so that members are looked up by their own names.
  for (const Task& task : all_tasks()) {
    for (const std::string& alias : task.aliases) add(alias, {&task});
  }
  for (const Group& group : all_groups()) {
    const std::vector<const Task*> members = names.at(group.name);
    for (const std::string& alias : group.aliases) add(alias, members);
  }
  return names;
}

const NameTable& name_table() {
  static const NameTable kNames = build_names();
  return kNames;
}

// Levenshtein distance: insertions, deletions and substitutions that turn `a` into `b`.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

[[noreturn]] void unknown_name(std::string_view name) {
  constexpr size_t kMaxShown = 3;
  constexpr size_t kMaxName = 100;  // longer ones are no misspelling
  std::vector<std::pair<size_t, std::string_view>> near;
  auto consider = [&](std::string_view known) {
    const size_t distance = edit_distance(name.substr(0, kMaxName), known);
    if (distance <= std::max<size_t>(2, known.size() / 3)) near.emplace_back(distance, known);
  };
  for (const auto& [known, tasks] : name_table()) consider(known);
  std::sort(near.begin(), near.end());
  near.resize(std::min(near.size(), kMaxShown));
  std::string hint;
  for (const auto& [distance, known] : near) {
    hint += hint.empty() ? "; did you mean " : " or ";
    hint += known;
  }
  throw Error(ErrorKind::kUsage,
              fmt::format("no task or group of this name{}{} (`fathom list tasks` shows all)", hint,
                          hint.empty() ? "" : "?"),
              std::string(name.substr(0, kMaxName)));
}

}  // namespace

const std::vector<Task>& all_tasks() {
  static const std::vector<Task> kTasks = build_tasks();
  return kTasks;
}

const std::vector<Group>& all_groups() {
  static const std::vector<Group> kGroups = mmlu_groups();
  return kGroups;
}

Selection select_tasks(std::span<const std::string> names) {
  std::set<const Task*> wanted;
  for (const std::string& name : names) {
    const auto found = name_table().find(name);
    if (found == name_table().end()) unknown_name(name);
    wanted.insert(found->second.begin(), found->second.end());
  }
  Selection selection;
  for (const Task& task : all_tasks()) {
    if (wanted.contains(&task)) selection.tasks.push_back(&task);
  }
  for (const Group& group : all_groups()) {
    const std::vector<const Task*>& members = name_table().at(group.name);
    const bool whole = std::all_of(members.begin(), members.end(),
                                   [&](const Task* member) { return wanted.contains(member); });
    if (whole) selection.groups.push_back(&group);
  }
  return selection;
}

const Task& find_task(std::string_view name) {
  const auto found = name_table().find(name);
  if (found == name_table().end() || found->second.size() != 1) unknown_name(name);
  return *found->second[0];
}

const Group& find_group(std::string_view name) {
  const auto found = std::find_if(all_groups().begin(), all_groups().end(),
                                  [name](const Group& group) { return group.name == name; });
  FATHOM_CHECK(found != all_groups().end(), "group {}", name);
  return *found;
}

void require_options_used(const Selection& selection, const PromptOptions& options) {
  auto any = [&](auto&& predicate) {
    return std::any_of(selection.tasks.begin(), selection.tasks.end(),
                       [&](const Task* task) { return predicate(task->kind); });
  };
  const bool has_needle = any([](TaskKind kind) { return kind == TaskKind::kNeedle; });
  const bool generates = any([](TaskKind kind) { return kind != TaskKind::kChoice; });
  if (!has_needle && (!options.needle_lengths.empty() || !options.needle_depths.empty())) {
    throw Error(ErrorKind::kUsage, "lengths and depths are for needle tasks, and none is asked for");
  }
  const bool sampling = options.max_new_tokens || options.repeats || options.temperature || options.top_p;
  if (!generates && sampling) {
    throw Error(
        ErrorKind::kUsage,
        "new tokens, repeats, temperature and top_p are for tasks that generate, and none is asked for");
  }
}

}  // namespace fathom::tasks
