#include "tests/scorers/sandbox/attack_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>

#include "base/error.h"
#include "scorers/sandbox/sandbox.h"
#include "tests/scorers/sandbox/attack_corpus.h"
#include "tests/scorers/sandbox/host_guard.h"

namespace fathom::sandbox {
namespace {

SandboxOptions options_for(Level level, int n_workers) {
  SandboxOptions options;
  options.level = level;
  options.accept_no_sandbox = level == Level::kNone;
  options.n_workers = n_workers;
  return options;
}

Job honest_job(const std::string& id) {
  Job job;
  job.id = id;
  job.prompt = "def f(x):\n";
  job.completion = "    return x + 1\n";
  job.test = "def check(candidate):\n    assert candidate(1) == 2\n";
  job.entry_point = "f";
  return job;
}

void run_batch(Level level, int n_workers, const std::vector<const Attack*>& attacks, const HostGuard& guard,
               std::vector<std::string>& wrong) {
  if (attacks.empty()) return;
  const auto sandbox = Sandbox::start(options_for(level, n_workers));
  for (const Attack* attack : attacks) {
    sandbox->submit(job_of(*attack, guard.facts()));
    if (!attack->in_order) sandbox->submit(honest_job(attack->job.id + "/then"));
  }
  sandbox->close();
  std::map<std::string, Result> results;
  while (auto result = sandbox->next()) results.emplace(result->id, *result);
  for (const Attack* attack : attacks) {
    const Result& result = results.at(attack->job.id);
    const auto& expected = attack->verdicts_for(std::string(level_name(level)));
    if (!expected.contains(std::string(verdict_name(result.verdict)))) {
      wrong.push_back(fmt::format("{}: {} ({}), expected {}; stderr {}", attack->job.id,
                                  verdict_name(result.verdict), result.detail, fmt::join(expected, " or "),
                                  result.standard_error.substr(0, 300)));
    }
    if (attack->in_order) continue;
    const Result& then = results.at(attack->job.id + "/then");
    if (then.verdict != Verdict::kPass) {
      wrong.push_back(fmt::format("the honest program after {}: {} ({})", attack->job.id,
                                  verdict_name(then.verdict), then.detail));
    }
  }
}

}  // namespace

std::vector<std::string> run_attacks(Level level, const std::set<std::string>& categories) {
  const std::vector<Attack> attacks = read_attacks(FATHOM_SOURCE_DIR "/tests/scorers/sandbox/attacks");
  std::vector<const Attack*> any_order, in_order;
  for (const Attack& attack : attacks) {
    if (!categories.empty() && !categories.contains(attack.category)) continue;
    // Not offered there; levels_test.cc shows the refusal.
    if (level == Level::kLandlock && attack.job.limits && attack.job.limits->processes > 1) continue;
    (attack.in_order ? in_order : any_order).push_back(&attack);
  }
  std::vector<std::string> wrong;
  const HostGuard guard;
  run_batch(level, 2, any_order, guard, wrong);
  run_batch(level, 1, in_order, guard, wrong);
  for (const std::string& line : guard.damage()) wrong.push_back(line);
  return wrong;
}

std::string refusal(Level level) {
  try {
    Sandbox::start(options_for(level, 1));
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace fathom::sandbox
