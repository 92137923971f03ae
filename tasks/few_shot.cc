#include "tasks/few_shot.h"

#include <utility>

#include "base/white_space.h"

namespace fathom::tasks {
namespace {

constexpr std::string_view kTargetDelimiter = " ";
constexpr std::string_view kExampleDelimiter = "\n\n";

bool needs_delimiter(std::string_view before, std::string_view after) {
  return !before.empty() && trailing_white_space_bytes(before) == 0 && leading_white_space_bytes(after) == 0;
}

}  // namespace

FewShotContext::FewShotContext(PromptForm form, std::string description, const std::vector<Example>& examples)
    : form_(form) {
  if (form == PromptForm::kText) {
    head_ = std::move(description);
  } else if (!description.empty()) {
    turns_.push_back({"system", std::move(description)});
  }
  for (const Example& example : examples) {
    if (form == PromptForm::kChatMultiturn) {
      turns_.push_back({"user", example.question});
      turns_.push_back({"assistant", example.answer});
    } else {
      head_.append(example.question).append(kTargetDelimiter);
      head_.append(example.answer).append(kExampleDelimiter);
    }
  }
}

Prompt FewShotContext::ask(std::string_view question, std::string_view answer_prefix) const {
  Prompt prompt;
  std::string text = head_;
  text += question;
  if (form_ == PromptForm::kText) {
    if (!answer_prefix.empty() && needs_delimiter(question, answer_prefix)) text += kTargetDelimiter;
    text += answer_prefix;
    prompt.text = std::move(text);
    return prompt;
  }
  prompt.turns = turns_;
  prompt.turns.push_back({"user", std::move(text)});
  prompt.assistant_prefix = answer_prefix;
  return prompt;
}

std::vector<std::string> continuations_for(PromptForm form, const std::vector<std::string>& choices) {
  if (form != PromptForm::kText) return choices;
  std::vector<std::string> continuations;
  for (const std::string& choice : choices) continuations.push_back(std::string(kTargetDelimiter) + choice);
  return continuations;
}

}  // namespace fathom::tasks
