// Prompt strings of MMLU as its references fix them. Sources and licences: NOTICE.
#pragma once

#include <string_view>

namespace fathom::tasks::prompts {

// lm-evaluation-harness, lm_eval/tasks/mmlu/default and generative: "...about abstract algebra.\n\n".
// The original code (hendrycks/test, evaluate.py) writes the same with two spaces before the subject.
inline constexpr std::string_view kMmluDescription =
    "The following are multiple choice questions (with answers) about ";
// lm-evaluation-harness, lm_eval/tasks/mmlu/continuation.
inline constexpr std::string_view kMmluClozeDescription = "The following are questions (with answers) about ";
inline constexpr std::string_view kMmluDescriptionEnd = ".\n\n";

inline constexpr std::string_view kMmluClozeQuestion = "Question: ";
inline constexpr std::string_view kMmluAnswer = "\nAnswer:";

// lm-evaluation-harness, lm_eval/tasks/mmlu/generative.
inline constexpr std::string_view kMmluGenerativeStops[] = {"</s>", "\n"};

}  // namespace fathom::tasks::prompts
