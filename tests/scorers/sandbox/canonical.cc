#include "tests/scorers/sandbox/canonical.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "tasks/dataset.h"
#include "tests/shared_data.h"

namespace fathom::sandbox {

std::vector<Job> humaneval_jobs(std::string (*completion_of)(const std::string& canonical)) {
  const tasks::DataFile file =
      tasks::read_data_file({.root = testing::shared_data()}, "humaneval", "HumanEval.jsonl.gz");
  std::istringstream lines(file.text);
  std::vector<Job> jobs;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json row = nlohmann::json::parse(line);
    Job job;
    job.id = row.at("task_id");
    job.prompt = row.at("prompt");
    job.completion = completion_of(row.at("canonical_solution").get<std::string>());
    job.test = row.at("test");
    job.entry_point = row.at("entry_point");
    jobs.push_back(std::move(job));
  }
  return jobs;
}

std::map<std::string, Result> run_jobs(const SandboxOptions& options, const std::vector<Job>& jobs) {
  const auto sandbox = Sandbox::start(options);
  for (const Job& job : jobs) sandbox->submit(job);
  sandbox->close();
  std::map<std::string, Result> results;
  while (auto result = sandbox->next()) results.emplace(result->id, *std::move(result));
  return results;
}

}  // namespace fathom::sandbox
