// Prompt strings of GSM8K as its references fix them. Sources and licences: NOTICE.
#pragma once

#include <cstdint>
#include <string_view>

namespace fathom::tasks::prompts {

// lm-evaluation-harness, lm_eval/tasks/gsm8k/gsm8k.yaml.
inline constexpr std::string_view kGsm8kQuestion = "Question: ";
inline constexpr std::string_view kGsm8kAnswer = "\nAnswer:";
inline constexpr std::string_view kGsm8kStops[] = {"Question:", "</s>", "<|im_end|>"};

// lm-evaluation-harness, lm_eval/tasks/gsm8k/gsm8k-cot.yaml.
inline constexpr std::string_view kCotQuestion = "Q: ";
inline constexpr std::string_view kCotAnswer = "\nA:";
inline constexpr std::string_view kCotStops[] = {"Q:", "</s>", "<|im_end|>"};

/// One of the worked examples of Wei et al. (arXiv:2201.11903), as gsm8k-cot.yaml has them.
struct WorkedExample {
  std::string_view question;
  std::string_view answer;
};
inline constexpr int64_t kNumCotExamples = 8;
extern const WorkedExample kCotExamples[kNumCotExamples];

// DeepSeek-V2 report (arXiv:2405.04434), table 24. The stop strings are fathom's choice.
inline constexpr std::string_view kDeepseekAnswer = "\nA: Let's think step by step.";
inline constexpr std::string_view kDeepseekAnswerIs = " The answer is ";
inline constexpr std::string_view kDeepseekStops[] = {"Q:"};
inline constexpr int64_t kDeepseekTrainRows[] = {6931, 5146, 3040, 7236, 1915, 1856, 150, 440};
inline constexpr std::string_view kDeepseekPrefixSha256 =
    "c325e1f3e372afa41d55b6fd67616b1e83027116ae55902abbc2d4d880251cd1";

// DeepSeek-Math (github deepseek-ai/DeepSeek-Math, README): the instruction for chat models.
inline constexpr std::string_view kChatInstruction =
    "\nPlease reason step by step, and put your final answer within \\boxed{}.";

}  // namespace fathom::tasks::prompts
