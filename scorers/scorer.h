// The table of scorers: a task names one by its ScorerId, and its metrics say which filters are wanted.
//
//   ScorerId                  metrics and filters                                 code
//   kChoice, kChoiceNormalised  acc, acc_norm, acc_bytes                            scorers/choice.h
//   kLetterMatch                exact_match: get_response, fathom scorers/letter_extraction.h kGsm8k,
//   kGsm8kCot           exact_match: strict-match, flexible-extract, fathom scorers/number_extraction.h
//   kGsm8kDeepseek, kGsm8kChat  exact_match: deepseek, strict-match, flexible-extract, fathom
//   kHumaneval(Instruct)        pass@1                                              scorers/code.h
//   kNeedle, kNeedleMulti       needle_score                                        scorers/needle.h
//
// docs/scoring.md explains each. Pure functions, safe from many threads.
#pragma once

#include <string_view>

#include "scorers/score.h"
#include "tasks/sample.h"
#include "tasks/task.h"

namespace fathom::scorers {

/// The scores of one answer, one for each of task.metrics and in that order. The scorer's share of the flags
/// is set; the harness adds what only it knows (truncated, boundary merge).
SampleScore score_sample(const tasks::Task& task, const tasks::Sample& sample, const Response& response);

/// What of a generated text is put into the program: all of it, or what stands before the first "```" for
/// kHumanevalInstruct. For code tasks only.
std::string_view code_completion(tasks::ScorerId scorer, std::string_view text);

/// Raised whenever a scorer gives another value, answer or outcome for an answer it has seen before; stored
/// with every score, so that scores of two versions are never mixed.
inline constexpr std::string_view kScorerVersion = "1";

}  // namespace fathom::scorers
