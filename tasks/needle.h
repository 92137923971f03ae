// The needle family: a sentence hidden in a long text, at many lengths and depths, to be found again.
//
//   needle           the 12 x 12 grid of figure 4 of the DeepSeek-V2 report, 1K to 128K tokens
//   needle_original  the 15 x 15 grid of the first GPT-4 test
//   needle_quick     5 depths at 1K, 2K and 4K tokens
//   needle_multi     three needles, the 12 x 12 grid
//   demo_needle      5 depths at six lengths from 512 to 6144 tokens, with a needle of models/nano's kind
//
// A cell's length counts the model's own tokens: BOS, prompt and room for the answer are at most that many,
// and as near to it as whole sentences allow. The needle goes in at the last sentence end at or before its
// depth (0: before everything, 100: after everything). Prompt::recipe says what was built: with the same
// haystack it rebuilds the prompt byte for byte.
//
// The words are gkamradt's; he counts and cuts otherwise (a fixed buffer of 200 tokens, cuts inside
// sentences) and asks a judge model, so his scores are not comparable digit for digit.
#pragma once

#include <vector>

#include "tasks/task.h"

namespace fathom::tasks {

std::vector<Task> needle_tasks();

}  // namespace fathom::tasks
