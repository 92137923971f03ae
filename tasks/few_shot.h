// FewShotContext: description, examples and question laid out as lm-evaluation-harness 0.4.13 does
// (lm_eval/api/task.py, fewshot_context and build_qa_turn; lm_eval/api/utils.py).
//
//   text            description, then `question + " " + answer + "\n\n"` for each example, then the question
//   chat            system turn: the description; user turn: all the rest of the text
//   chat_multiturn  system turn: the description; a user and an assistant turn for each example; user turn:
//                   the question. The delimiters are left out
//
// An empty description makes no system turn. Immutable; what is common to many questions is laid out once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tasks/sample.h"
#include "tasks/task.h"

namespace fathom::tasks {

struct Example {
  std::string question;
  std::string answer;
};

class FewShotContext {
 public:
  FewShotContext(PromptForm form, std::string description, const std::vector<Example>& examples);

  /// The prompt for `question`. `answer_prefix` begins the model's answer (lm-eval's gen_prefix): joined to a
  /// raw text, by a space if neither side has white space there, and Prompt::assistant_prefix for turns.
  Prompt ask(std::string_view question, std::string_view answer_prefix = {}) const;

  PromptForm form() const { return form_; }

 private:
  PromptForm form_;
  std::string head_;         ///< what precedes the question in the same text or user turn
  std::vector<Turn> turns_;  ///< what precedes it as turns
};

/// `choices` as continuations: after a space in a raw text, bare after a chat template (lm-eval leaves its
/// target delimiter out there).
std::vector<std::string> continuations_for(PromptForm form, const std::vector<std::string>& choices);

}  // namespace fathom::tasks
