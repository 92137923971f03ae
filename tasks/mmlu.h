// The MMLU family: multiple-choice questions with four answers, in four layouts over the same rows.
//
//   mmlu             lm-evaluation-harness `mmlu`: letters scored by log-likelihood
//   mmlu_original    hendrycks/test evaluate.py: two spaces before the subject, question not stripped
//   mmlu_cloze       lm-evaluation-harness `mmlu_continuation`: the answer texts are scored
//   mmlu_generative  lm-evaluation-harness `mmlu_generative`: the letter is generated
//   mmlu_sample      the layout of `mmlu` over a few questions of fathom's own, built in
//   demo_choice      the layout of `mmlu`, 1-shot, over the facts that models/nano was taught and over
//                    questions that name their answer (subjects reading_*), built in
//   demo_cloze       the same questions in the layout of `mmlu_cloze`
//
// The original code reads its CSV files with pandas, whose version 2 turns the answer "None" (10 rows) into
// "nan"; older ones keep it, and so does fathom.
#pragma once

#include <vector>

#include "tasks/task.h"

namespace fathom::tasks {

std::vector<Task> mmlu_tasks();
std::vector<Group> mmlu_groups();

}  // namespace fathom::tasks
