// Task: what is asked and how it is judged, as a value. tasks/registry.h has the table of all of them.
//
// A task is a row of data plus two functions that its family fills in (tasks/mmlu.cc, tasks/gsm8k.cc, ...):
// families share code, tasks never inherit. Everything here is immutable and safe to use from many threads.
// The hash of what a task sends is template_sha256(); whoever changes a prompt, a stop or a default raises
// `version` with it.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "tasks/dataset.h"
#include "tasks/sample.h"
#include "tasks/token_counter.h"

namespace fathom::tasks {

enum class TaskKind { kChoice, kGenerate, kCode, kNeedle };
std::string_view task_kind_name(TaskKind kind);  // "choice", "generate", "code", "needle"

/// Which scorer judges an answer; scorers/ dispatches on it. Beside each: the keys of Sample::fields that the
/// scorer may rely on, and what Sample::target holds.
enum class ScorerId {
  kChoice,             ///< choices [text], gold (index); target: the letter. Metric acc
  kChoiceNormalised,   ///< the same; metrics acc and acc_norm
  kLetterMatch,        ///< target: the letter, compared as lm-eval's mmlu_generative does
  kGsm8k,              ///< target: the number after "#### " as written ("1,234")
  kGsm8kCot,           ///< the same, with the filters of gsm8k_cot
  kGsm8kDeepseek,      ///< the same, the number after the first "The answer is"
  kGsm8kChat,          ///< the same, free-form chat answers: fathom's extraction
  kHumaneval,          ///< prompt, test, entry_point; target: test + "\ncheck(entry_point)"
  kHumanevalInstruct,  ///< the same; the completion ends at the first "```"
  kNeedle,             ///< keywords [text]; target: the needle
  kNeedleMulti,        ///< needles [{needle, keyword}]; target: the keywords joined by ", "
};
std::string_view scorer_name(ScorerId scorer);  // "choice", "choice_normalised", ...

/// One number that a scorer yields for each sample, in lm-eval's words.
struct Metric {
  std::string name;             ///< "acc", "exact_match", "pass@1"
  std::string filter = "none";  ///< "strict-match", "flexible-extract", "fathom"
};

/// How a prompt is laid out.
enum class PromptForm {
  kText,           ///< one raw text, for base models
  kChat,           ///< turns; the few-shot examples and the question share one user turn
  kChatMultiturn,  ///< turns; each few-shot example is a user and an assistant turn
};
std::string_view prompt_form_name(PromptForm form);  // "text", "chat", "chat_multiturn"

/// What a run may change about how a task is asked. All of it is stored with the run; what is absent is the
/// task's own default.
struct PromptOptions {
  std::optional<int64_t> num_fewshot;
  PromptForm form = PromptForm::kText;
  std::optional<int64_t> max_new_tokens;
  std::optional<int64_t> repeats;  ///< answers per sample (pass@k)
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::vector<int64_t> needle_lengths;   ///< in the model's tokens, prompt and answer together
  std::vector<double> needle_depths;     ///< in percent of the haystack before the needle
  const TokenCounter* tokens = nullptr;  ///< needed by needle tasks; must outlive the Documents
};

/// The opened documents of a task under one set of options.
struct Documents {
  DatasetIdentity dataset;
  std::vector<Sample> samples;  ///< in the order of the data file
  /// What is asked about one of `samples`. A pure function, safe from many threads.
  std::function<Prompt(const Sample&)> prompt;
};

struct Task {
  std::string name;                  ///< "mmlu_abstract_algebra"
  std::vector<std::string> aliases;  ///< other names that select it: a reference's own
  std::string version;               ///< raised when anything that is sent or scored changes
  std::string description;           ///< one line
  TaskKind kind = TaskKind::kChoice;
  ScorerId scorer = ScorerId::kChoice;
  std::vector<Metric> metrics;     ///< of each sample; the first is the headline
  std::vector<int64_t> pass_at_k;  ///< for code: each k whose pass@k is reported over all samples
  std::string dataset;             ///< folder name of the data set; empty: built in
  std::string subset;              ///< "abstract_algebra"
  std::string group;               ///< "mmlu"; empty for a task that stands alone
  int64_t num_fewshot = 0;         ///< default
  int64_t max_num_fewshot = 0;
  bool always_chat = false;  ///< asked in turns even without being told to

  /// Fills Documents from the data set, or from a few built-in documents for the template hash. Called
  /// through open_documents() and template_sha256(), which check the options first.
  std::function<Documents(const Task&, const DataSource&, const PromptOptions&)> open;
  std::function<Documents(const Task&, const PromptOptions&)> open_probe;
};

/// A name for several tasks. Results over a group are reported twice: micro (over all samples) and macro (the
/// mean of the members' values).
struct Group {
  std::string name;                  ///< "mmlu", "mmlu_stem", "mmlu_stem@original"
  std::vector<std::string> aliases;  ///< other names that select it: a reference's own
  std::string description;           ///< one line
  std::vector<std::string> members;
};

/// The number of few-shot examples under `options`.
int64_t num_fewshot(const Task& task, const PromptOptions& options);

/// The documents of `task` in `source`. Throws Error{kUsage} for an option that the task does not take, and
/// Error{kBadInput} for data that is missing or broken.
Documents open_documents(const Task& task, const DataSource& source, const PromptOptions& options);

/// SHA-256 over the prompts rendered for the family's built-in probe documents, as raw text and as turns,
/// with continuations, stops and sampling: changes exactly when what the task sends changes. Needs no data.
Sha256Digest template_sha256(const Task& task);

/// Everything that defines the task, for the store: name, version, template hash, scorer, metrics, data set.
nlohmann::json task_spec(const Task& task);

/// A prompt as JSON, every field of it.
nlohmann::json prompt_to_json(const Prompt& prompt);

}  // namespace fathom::tasks
