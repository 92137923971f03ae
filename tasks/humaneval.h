// The HumanEval family: Python functions to complete, judged by running their tests in the sandbox.
//
//   humaneval           lm-evaluation-harness `humaneval`: the raw prompt, greedy, pass@1
//   demo_code           the layout of `humaneval` over functions such as models/nano was taught, built in
//   humaneval_sampled   the protocol of Chen et al.: 200 answers at temperature 0.8, pass@k for 1, 10, 100
//   humaneval_instruct  lm-evaluation-harness `humaneval_instruct` (version 4), for chat models
//
// A prompt's bytes are never stripped: white space at its end changes scores by tens of points.
#pragma once

#include <vector>

#include "tasks/task.h"

namespace fathom::tasks {

std::vector<Task> humaneval_tasks();

}  // namespace fathom::tasks
