// Sample: one document of a task, and Prompt: what the task asks of a model about it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fathom::tasks {

/// One row of a data set. `fields` holds the row as read; families agree on the keys they need.
struct Sample {
  int64_t doc_id = 0;   ///< row number in the data file, from 0
  std::string doc_key;  ///< stable name inside the data set: "HumanEval/3", or the row number
  std::string cluster;  ///< unit for clustered errors: subject, passage; may be empty
  std::string target;   ///< the gold answer as the scorer compares it: "B", "18", the test program
  nlohmann::json fields;
};

struct Turn {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
};

/// What is sent for one sample. Exactly one of `text` and `turns` is filled: turns only for chat models.
struct Prompt {
  std::string text;
  std::vector<Turn> turns;
  std::string assistant_prefix;  ///< begins the model's answer (humaneval_instruct); after the template
  std::vector<std::string> continuations;  ///< not empty: score them; empty: generate
  std::vector<std::string> stop;
  int64_t max_new_tokens = 0;
  double temperature = 0.0;
  double top_p = 1.0;
  int64_t repeats = 1;  ///< answers wanted per sample (pass@k)
  nlohmann::json
      recipe;  ///< how to rebuild a long prompt (needle: lengths, depth, positions); null otherwise
};

}  // namespace fathom::tasks
