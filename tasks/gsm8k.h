// The GSM8K family: grade-school word problems whose answer is a number.
//
//   gsm8k           lm-evaluation-harness `gsm8k`: 5 examples drawn anew for each document
//   demo_math       the layout of gsm8k, 1-shot, over problems such as models/nano was taught, built in
//   gsm8k_cot       lm-evaluation-harness `gsm8k_cot`: 8 fixed worked examples
//   gsm8k_deepseek  table 24 of the DeepSeek-V2 report: 8 fixed examples rebuilt from training rows
//   gsm8k_chat      zero-shot for chat models, with DeepSeek-Math's instruction
//
// lm-eval draws the examples of gsm8k from one random.Random(1234) that runs on from document to document, so
// the draw of document i depends on all before it; --limit, which keeps the first documents, changes none.
// gsm8k and gsm8k_cot generate 256 tokens as lm-eval does by default, the others 512 and 1024.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/task.h"

namespace fathom::tasks {

std::vector<Task> gsm8k_tasks();

/// Training rows that lm-eval shows to each of `n_docs` documents: n_docs lists of `k` indices below
/// `n_train`.
std::vector<std::vector<int64_t>> gsm8k_example_rows(int64_t n_docs, int64_t n_train, int64_t k);

/// A training row's solution as the DeepSeek-V2 report prints it: calculator notes and the "####" line left
/// out, lines joined by a space and ended by a full stop, curly apostrophes straightened.
std::string deepseek_rationale(std::string_view answer);

}  // namespace fathom::tasks
