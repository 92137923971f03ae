// The tasks of a stored run, as its rows name them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/sqlite.h"

namespace fathom::results {

struct StoredTask {
  int64_t run_task_id = 0;
  std::string name;
  std::vector<std::string> groups;  ///< names under which it was selected together with others
  int64_t n_docs = 0;
  int64_t n_reps = 1;
};

/// In the order of the run.
std::vector<StoredTask> stored_tasks(const Database& database, int64_t run_id);

}  // namespace fathom::results
