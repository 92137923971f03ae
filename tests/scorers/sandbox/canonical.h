// The 164 problems of HumanEval with their canonical solutions, as jobs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scorers/sandbox/sandbox.h"

namespace fathom::sandbox {

/// A job for each problem; `completion_of` gets the canonical solution. The data must be there.
std::vector<Job> humaneval_jobs(std::string (*completion_of)(const std::string& canonical));

/// Runs the jobs; results by id.
std::map<std::string, Result> run_jobs(const SandboxOptions& options, const std::vector<Job>& jobs);

}  // namespace fathom::sandbox
