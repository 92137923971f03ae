// Choice: which of the listed continuations a model finds most likely.
//
// lm-evaluation-harness 0.4.13 (lm_eval/api/task.py, process_results), from the sums of log-probabilities:
//   acc        argmax of the sum
//   acc_norm   argmax of the sum over the choice's length in characters, its delimiter not counted
//   acc_bytes  argmax of the sum over the choice's length in UTF-8 bytes
// A tie goes to the lowest index, as numpy.argmax has it; kFlagTie says that it happened for acc.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "scorers/score.h"

namespace fathom::scorers {

/// The scores acc, acc_norm and acc_bytes. `choices`: the texts without delimiter; `logprobs`: one sum a
/// choice; `gold`: index of the right one. The answer of each score is the letter of the choice that won, "A"
/// for the first. A NaN, or a number of log-probabilities that is not the number of choices, is an outcome
/// kError.
SampleScore score_choice(std::span<const std::string> choices, int64_t gold,
                         std::span<const double> logprobs);

}  // namespace fathom::scorers
