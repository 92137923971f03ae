// The programs of attacks/*.txt: each tries to be judged right or to reach beyond the sandbox, and has the
// verdicts that it may get.
//
//   === name | verdict[,verdict...] | option...      (options may be missing)
//   text of the completion until the next header
//
// The program is "def f(x):\n" and the text; the test is `assert candidate(1) == 2`. Options:
//   module       the text is the whole program and defines f
//   bytes        the text is one line with the escapes of a Python bytes literal
//   list, twice, many   the test makes a list of the result; asks twice; asks 100,000 times
//   repeat=N     the text N times
//   x86_64       skipped on other machines
//   cpu_s=, wall_s=, idle_s=, processes=     limits of its own
//   LEVEL:verdict[,verdict...]               other verdicts at that level
// Lines before the first header are a comment. @WORD@ in a text is replaced by a fact of the host
// (host_guard.h).
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scorers/sandbox/sandbox.h"

namespace fathom::sandbox {

struct Attack {
  std::string name;
  std::string category;  ///< stem of the file
  std::set<std::string> verdicts;
  std::map<std::string, std::set<std::string>> verdicts_at;  ///< by level, instead
  Job job;
  bool in_order = false;  ///< needs the sample before it in the same cell

  const std::set<std::string>& verdicts_for(const std::string& level) const;
};

/// Every attack of `folder`, by file name, then in the order of the file. Throws std::runtime_error for a
/// text that does not follow the format.
std::vector<Attack> read_attacks(const std::filesystem::path& folder);

/// The job of an attack with the facts written into it.
Job job_of(const Attack& attack, const std::map<std::string, std::string>& facts);

}  // namespace fathom::sandbox
