#include "scorers/scorer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "scorers/choice.h"
#include "scorers/code.h"
#include "scorers/exact_match.h"
#include "scorers/letter_extraction.h"
#include "scorers/needle.h"
#include "scorers/number_extraction.h"

namespace fathom::scorers {
namespace {

using tasks::Metric;
using tasks::Sample;
using tasks::ScorerId;
using tasks::Task;

constexpr std::string_view kInvalid = "[invalid]";  // lm-eval's word for "no match"
constexpr std::string_view kFathomFilter = "fathom";
constexpr int kLetters = 4;

Score no_answer(const Metric& metric) {
  Score score;
  score.metric = metric.name;
  score.filter = metric.filter;
  score.value = 0.0;
  score.answer = kInvalid;
  score.outcome = Outcome::kNoAnswer;
  return score;
}

Score scored(const Metric& metric, std::string answer, bool right) {
  Score score;
  score.metric = metric.name;
  score.filter = metric.filter;
  score.value = right ? 1.0 : 0.0;
  score.answer = std::move(answer);
  return score;
}

// How a number is read from an answer, and what makes it right.
struct NumberFilter {
  std::string_view name;
  std::optional<std::string> (*extract)(std::string_view);
  enum class Compare { kTextAsLmEval, kValue } compare;
};

NumberFilter number_filter(std::string_view name, ScorerId scorer) {
  using Compare = NumberFilter::Compare;
  const NumberFilter filters[] = {
      {"strict-match", scorer == ScorerId::kGsm8kCot ? gsm8k_cot_strict_match : gsm8k_strict_match,
       Compare::kTextAsLmEval},
      {"flexible-extract", gsm8k_flexible_extract, Compare::kTextAsLmEval},
      {"deepseek", deepseek_answer, Compare::kValue},
      {kFathomFilter, extract_number, Compare::kValue},
  };
  for (const NumberFilter& filter : filters) {
    if (filter.name == name) return filter;
  }
  FATHOM_CHECK(false, "filter {}", name);
}

Score score_number(const Metric& metric, ScorerId scorer, std::string_view text, const std::string& target) {
  const NumberFilter filter = number_filter(metric.filter, scorer);
  const std::optional<std::string> answer = filter.extract(text);
  if (!answer) return no_answer(metric);
  if (filter.compare == NumberFilter::Compare::kTextAsLmEval) {
    return scored(metric, *answer, exact_match(*answer, target, gsm8k_match_options()));
  }
  const std::optional<std::string> gold = extract_number(target);
  FATHOM_CHECK(gold.has_value(), "target {}", target);
  return scored(metric, *answer, canonical_number(*answer) == gold);
}

Score score_letter(const Metric& metric, std::string_view text, const std::string& target) {
  if (metric.filter == kFathomFilter) {
    const std::optional<std::string> letter = extract_letter(text, kLetters);
    return letter ? scored(metric, *letter, *letter == target) : no_answer(metric);
  }
  FATHOM_CHECK(metric.filter == "get_response", "filter {}", metric.filter);
  const std::string response = first_line(text);
  Score score = scored(metric, response, exact_match(response, target, letter_match_options()));
  if (response.empty()) score.outcome = Outcome::kNoAnswer;
  return score;
}

// The scores of `all` that the task asks for, in its order.
std::vector<Score> select(const std::vector<Score>& all, const std::vector<Metric>& metrics) {
  std::vector<Score> selected;
  for (const Metric& metric : metrics) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const Score& score) {
      return score.metric == metric.name && score.filter == metric.filter;
    });
    FATHOM_CHECK(found != all.end(), "metric {},{}", metric.name, metric.filter);
    selected.push_back(*found);
  }
  return selected;
}

SampleScore choice_scores(const Task& task, const Sample& sample, const Response& response) {
  const std::vector<std::string> choices = sample.fields.at("choices");
  SampleScore result = score_choice(choices, sample.fields.at("gold"), response.choice_logprobs);
  result.scores = select(result.scores, task.metrics);
  return result;
}

SampleScore needle_scores(const Task& task, const Sample& sample, const Response& response) {
  std::vector<std::string> keywords;
  if (task.scorer == ScorerId::kNeedle) {
    keywords = sample.fields.at("keywords").get<std::vector<std::string>>();
  } else {
    for (const auto& needle : sample.fields.at("needles")) keywords.push_back(needle.at("keyword"));
  }
  SampleScore result;
  result.scores = select({score_keywords(response.text, keywords)}, task.metrics);
  return result;
}

SampleScore scores_without_generation_flags(const Task& task, const Sample& sample,
                                            const Response& response) {
  SampleScore result;
  switch (task.scorer) {
    case ScorerId::kChoice:
    case ScorerId::kChoiceNormalised:
      return choice_scores(task, sample, response);
    case ScorerId::kLetterMatch:
      for (const Metric& metric : task.metrics) {
        result.scores.push_back(score_letter(metric, response.text, sample.target));
      }
      return result;
    case ScorerId::kGsm8k:
    case ScorerId::kGsm8kCot:
    case ScorerId::kGsm8kDeepseek:
    case ScorerId::kGsm8kChat:
      for (const Metric& metric : task.metrics) {
        result.scores.push_back(score_number(metric, task.scorer, response.text, sample.target));
      }
      return result;
    case ScorerId::kHumaneval:
    case ScorerId::kHumanevalInstruct:
      result = score_code(response);
      result.scores = select(result.scores, task.metrics);
      return result;
    case ScorerId::kNeedle:
    case ScorerId::kNeedleMulti:
      return needle_scores(task, sample, response);
  }
  FATHOM_CHECK(false, "scorer {}", static_cast<int>(task.scorer));
}

}  // namespace

SampleScore score_sample(const Task& task, const Sample& sample, const Response& response) {
  FATHOM_CHECK(!task.metrics.empty(), "task {}", task.name);
  SampleScore result = scores_without_generation_flags(task, sample, response);
  if (task.kind == tasks::TaskKind::kChoice) return result;
  if (response.text.empty()) result.flags |= kFlagEmpty;
  if (response.finish_reason == "length") result.flags |= kFlagLength;
  if (result.scores[0].outcome == Outcome::kNoAnswer) result.flags |= kFlagUnparsed;
  return result;
}

std::string_view code_completion(ScorerId scorer, std::string_view text) {
  FATHOM_CHECK(scorer == ScorerId::kHumaneval || scorer == ScorerId::kHumanevalInstruct, "scorer {}",
               static_cast<int>(scorer));
  return scorer == ScorerId::kHumanevalInstruct ? before_code_fence(text) : text;
}

}  // namespace fathom::scorers
