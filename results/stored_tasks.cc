#include "results/stored_tasks.h"

#include <nlohmann/json.hpp>

namespace fathom::results {

std::vector<StoredTask> stored_tasks(const Database& database, int64_t run_id) {
  Statement rows = database.prepare(
      "SELECT rt.run_task_id, t.name, rt.groups, rt.n_docs, rt.n_reps FROM run_task rt JOIN task t "
      "USING(task_id)"
      " WHERE rt.run_id = ? ORDER BY rt.position");
  std::vector<StoredTask> tasks;
  rows.query(run_id);
  while (rows.step()) {
    tasks.push_back({.run_task_id = rows.integer(0),
                     .name = rows.text(1),
                     .groups = nlohmann::json::parse(rows.text(2)).get<std::vector<std::string>>(),
                     .n_docs = rows.integer(3),
                     .n_reps = rows.integer(4)});
  }
  return tasks;
}

}  // namespace fathom::results
