#include "scorers/code.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fathom::scorers {

std::string_view before_code_fence(std::string_view completion) {
  return completion.substr(0, completion.find("```"));
}

std::string humaneval_program(std::string_view prompt, std::string_view completion, std::string_view test,
                              std::string_view entry_point) {
  return fmt::format("{}{}\n{}\ncheck({})", prompt, completion, test, entry_point);
}

SampleScore score_code(const Response& response) {
  static constexpr std::string_view kWrong[] = {"fail",    "compile_error", "runtime_error",
                                                "timeout", "oom",           "killed_by_policy"};
  const std::string& verdict = response.verdict;
  Score score;
  score.metric = "pass@1";
  score.answer = verdict;
  if (verdict == "pass") {
    score.value = 1.0;
  } else if (std::find(std::begin(kWrong), std::end(kWrong), verdict) != std::end(kWrong)) {
    score.value = 0.0;
    score.explanation = "verdict " + verdict;
  } else {
    score.outcome = Outcome::kError;
    score.explanation = verdict.empty() ? "the program was not run" : "verdict " + verdict;
  }
  SampleScore result;
  result.scores.push_back(std::move(score));
  return result;
}

}  // namespace fathom::scorers
