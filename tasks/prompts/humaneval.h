// Prompt strings of HumanEval as its references fix them. Sources and licences: NOTICE.
#pragma once

#include <string_view>

namespace fathom::tasks::prompts {

// Chen et al. (arXiv:2107.03374) section 3.2, in the order of lm_eval/tasks/humaneval/humaneval.yaml.
inline constexpr std::string_view kHumanevalStops[] = {"\nclass", "\ndef", "\n#", "\nif", "\nprint"};

// lm-evaluation-harness, lm_eval/tasks/humaneval/humaneval_instruct.yaml, version 4.
inline constexpr std::string_view kInstructQuestion =
    "Write a solution to the following problem and make sure that it passes the tests:\n```python\n";
inline constexpr std::string_view kInstructQuestionEnd = "\n```\n";
inline constexpr std::string_view kInstructAnswer = "Here is the completed function:\n```python\n";
inline constexpr std::string_view kInstructAnswerEnd = "\n";

}  // namespace fathom::tasks::prompts
