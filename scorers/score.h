// Score: what one answer is worth. A scorer is a pure function of the sample and the response;
// scorers/scorer.h has the table of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::scorers {

/// What the engine answered, in the terms a scorer needs.
struct Response {
  std::vector<double> choice_logprobs;  ///< sum log p of each continuation, in order
  std::vector<bool> is_greedy;
  std::string text;           ///< generated text after the stop cut
  std::string finish_reason;  ///< "scored", "eos", "stop", "length"
  /// The sandbox's verdict ("pass", "fail", "timeout", ...) for code tasks, filled by the harness.
  std::string verdict;
};

enum class Outcome {
  kScored,
  kNoAnswer,  ///< nothing could be extracted: counts as wrong, and is shown as a rate
  kError,     ///< no score exists; never a zero
};
std::string_view outcome_name(Outcome outcome);  // "scored", "no_answer", "error"

/// Conditions that a reader of the score should know, kept per sample and shown as rates.
enum Flag : uint32_t {
  kFlagTruncated = 1 << 0,      ///< the prompt was cut to fit
  kFlagBoundaryMerge = 1 << 1,  ///< a token spans context and continuation
  kFlagTie = 1 << 2,            ///< two choices with the same log-likelihood share the top
  kFlagEmpty = 1 << 3,          ///< the model generated nothing
  kFlagLength = 1 << 4,         ///< generation was cut by max_new_tokens
  kFlagUnparsed = 1 << 5,       ///< no answer could be extracted
};
/// The bits that a scorer sets; the others are known before an answer is.
inline constexpr uint32_t kScorerFlags = kFlagTie | kFlagEmpty | kFlagLength | kFlagUnparsed;
std::vector<std::string> flag_names(uint32_t flags);

/// One metric under one filter for one sample.
struct Score {
  std::string metric;           ///< lm-eval's word: "acc", "acc_norm", "exact_match", "pass@1"
  std::string filter = "none";  ///< "none", "strict-match", "flexible-extract", "fathom"
  std::optional<double> value;  ///< absent exactly when outcome is kError
  std::string answer;           ///< what was extracted
  Outcome outcome = Outcome::kScored;
  std::string explanation;
};

/// All that is known about one answer. The first score is the headline one.
struct SampleScore {
  std::vector<Score> scores;
  uint32_t flags = 0;  ///< the bits a scorer can know: tie, empty, length, unparsed
  /// Choice tasks: log p of the gold choice, and that minus the best other choice's.
  std::optional<double> gold_logprob;
  std::optional<double> margin;
};

}  // namespace fathom::scorers
