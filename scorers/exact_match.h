// exact_match as lm-evaluation-harness 0.4.13 computes it (lm_eval/api/metrics.py, exact_match_hf_evaluate).
//
// Prediction and gold are normalised alike, then compared byte for byte. The regexes to ignore of its tasks
// are a closed list, so they are named steps here and not a regex engine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::scorers {

/// One entry of a task's regexes_to_ignore: what it matches is removed.
enum class Ignore {
  kCommas,            ///< ","
  kDollars,           ///< "\$"
  kBeforeHashes,      ///< "(?s).*#### ": everything up to and including the last "#### "
  kTrailingFullStop,  ///< "\.$": a full stop at the end, or before a newline at the end
};

struct ExactMatchOptions {
  std::vector<Ignore> ignore;  ///< applied in this order
  bool ignore_case = false;
  bool ignore_punctuation = false;  ///< Python's string.punctuation
};

/// The rules of gsm8k and gsm8k_cot.
const ExactMatchOptions& gsm8k_match_options();
/// The rules of mmlu_generative.
const ExactMatchOptions& letter_match_options();

/// What is compared. With `ignore_case`, see ascii_lower() for the one limit.
std::string normalise_for_match(std::string_view text, const ExactMatchOptions& options);

bool exact_match(std::string_view prediction, std::string_view gold, const ExactMatchOptions& options);

}  // namespace fathom::scorers
