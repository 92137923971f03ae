#include "scorers/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "scorers/python_text.h"

namespace fathom::scorers {
namespace {

// Lowest index of the greatest value.
size_t argmax(std::span<const double> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

template <typename Length>
std::vector<double> divided_by(std::span<const double> logprobs, std::span<const std::string> choices,
                               Length length) {
  std::vector<double> quotients(logprobs.size());
  for (size_t i = 0; i < std::min(logprobs.size(), choices.size()); ++i) {
    quotients[i] = logprobs[i] / static_cast<double>(length(choices[i]));
  }
  return quotients;
}

// One metric: the argmax of `values`, one value a choice. An empty choice divides by zero: -inf, never
// chosen.
Score score_argmax(std::string metric, std::span<const double> values, size_t n_choices, size_t gold) {
  Score score;
  score.metric = std::move(metric);
  const auto nan = std::find_if(values.begin(), values.end(), [](double value) { return std::isnan(value); });
  if (values.size() != n_choices) {
    score.outcome = Outcome::kError;
    score.explanation = fmt::format("{} log-likelihoods for {} choices", values.size(), n_choices);
  } else if (nan != values.end()) {
    score.outcome = Outcome::kError;
    score.explanation = fmt::format("the log-likelihood of choice {} is not a number", nan - values.begin());
  } else {
    const size_t best = argmax(values);
    score.answer = std::string(1, static_cast<char>('A' + best));
    score.value = best == gold ? 1.0 : 0.0;
  }
  return score;
}

double greatest_other(std::span<const double> logprobs, size_t gold) {
  double best = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < logprobs.size(); ++i) {
    if (i != gold) best = std::max(best, logprobs[i]);
  }
  return best;
}

}  // namespace

SampleScore score_choice(std::span<const std::string> choices, int64_t gold,
                         std::span<const double> logprobs) {
  FATHOM_CHECK(choices.size() >= 2 && choices.size() <= 26 && gold >= 0 && gold < std::ssize(choices),
               "gold {} of {}", gold, choices.size());
  const auto gold_index = static_cast<size_t>(gold);
  const auto bytes = [](const std::string& choice) { return choice.size(); };
  SampleScore result;
  result.scores = {
      score_argmax("acc", logprobs, choices.size(), gold_index),
      score_argmax("acc_norm", divided_by(logprobs, choices, character_count), choices.size(), gold_index),
      score_argmax("acc_bytes", divided_by(logprobs, choices, bytes), choices.size(), gold_index),
  };
  if (result.scores[0].outcome == Outcome::kError) return result;
  if (std::count(logprobs.begin(), logprobs.end(), logprobs[argmax(logprobs)]) > 1) result.flags |= kFlagTie;
  result.gold_logprob = logprobs[gold_index];
  const double margin = logprobs[gold_index] - greatest_other(logprobs, gold_index);
  if (!std::isnan(margin)) result.margin = margin;  // -inf minus -inf is none
  return result;
}

}  // namespace fathom::scorers
