#include "tasks/humaneval.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "tasks/dataset.h"
#include "tasks/few_shot.h"
#include "tasks/prompts/humaneval.h"

namespace fathom::tasks {
namespace {

struct Variant {
  std::string_view name;
  std::string_view description;
  std::string_view dataset = "humaneval";
  std::string_view file = "HumanEval.jsonl.gz";
  ScorerId scorer;
  std::vector<int64_t> pass_at_k;
  int64_t repeats;
  double temperature;
  double top_p;
  int64_t max_new_tokens = 1024;
};

constexpr std::string_view kVersion = "1.0";

const std::vector<Variant>& variants() {
  static const std::vector<Variant> kVariants = {
      {.name = "humaneval",
       .description = "HumanEval as lm-eval's humaneval: the raw prompt, greedy",
       .scorer = ScorerId::kHumaneval,
       .pass_at_k = {1},
       .repeats = 1,
       .temperature = 0.0,
       .top_p = 1.0},
      {.name = "demo_code",
       .description = "small functions in the layout of humaneval; built in, models/nano was taught such",
       .dataset = "demo_code",
       .file = "test.jsonl",
       .scorer = ScorerId::kHumaneval,
       .pass_at_k = {1},
       .repeats = 1,
       .temperature = 0.0,
       .top_p = 1.0,
       .max_new_tokens = 48},
      {.name = "humaneval_sampled",
       .description = "HumanEval as in the Codex paper: 200 samples, unbiased pass@1, pass@10, pass@100",
       .scorer = ScorerId::kHumaneval,
       .pass_at_k = {1, 10, 100},
       .repeats = 200,
       .temperature = 0.8,
       .top_p = 0.95},
      {.name = "humaneval_instruct",
       .description = "HumanEval as lm-eval's humaneval_instruct: the answer begins inside a code block",
       .scorer = ScorerId::kHumanevalInstruct,
       .pass_at_k = {1},
       .repeats = 1,
       .temperature = 0.0,
       .top_p = 1.0},
  };
  return kVariants;
}

Sample to_sample(const nlohmann::json& fields, int64_t doc_id) {
  Sample sample;
  sample.doc_id = doc_id;
  sample.doc_key = fields.at("task_id").get<std::string>();
  sample.target = fmt::format("{}\ncheck({})", fields.at("test").get<std::string>(),
                              fields.at("entry_point").get<std::string>());
  sample.fields = fields;
  return sample;
}

Prompt ask(const Variant& variant, PromptForm form, const Sample& sample) {
  const auto& code = sample.fields.at("prompt").get_ref<const std::string&>();
  const FewShotContext context(form, "", {});
  Prompt prompt;
  if (variant.scorer == ScorerId::kHumanevalInstruct) {
    prompt =
        context.ask(fmt::format("{}{}{}", prompts::kInstructQuestion, code, prompts::kInstructQuestionEnd),
                    fmt::format("{}{}{}", prompts::kInstructAnswer, code, prompts::kInstructAnswerEnd));
  } else {
    prompt = context.ask(code);
  }
  prompt.stop.assign(std::begin(prompts::kHumanevalStops), std::end(prompts::kHumanevalStops));
  prompt.max_new_tokens = variant.max_new_tokens;
  prompt.repeats = variant.repeats;
  prompt.temperature = variant.temperature;
  prompt.top_p = variant.top_p;
  return prompt;
}

Documents documents_of(const Variant& variant, const PromptOptions& options,
                       const std::vector<nlohmann::json>& rows) {
  Documents documents;
  for (const nlohmann::json& row : rows) {
    documents.samples.push_back(to_sample(row, static_cast<int64_t>(documents.samples.size())));
  }
  documents.prompt = [&variant, form = options.form](const Sample& sample) {
    return ask(variant, form, sample);
  };
  return documents;
}

Documents open_variant(const Variant& variant, const Task& task, const DataSource& source,
                       const PromptOptions& options) {
  const DataFile file = read_data_file(source, task.dataset, variant.file);
  std::vector<nlohmann::json> rows;
  std::map<std::string, std::string> seen;
  for (JsonRow& row :
       parse_json_rows(file, {"task_id", "prompt", "entry_point", "canonical_solution", "test"})) {
    const std::string id = row.fields.at("task_id").get<std::string>();
    const auto [first, is_new] = seen.emplace(id, row.where);
    if (!is_new) bad_input(row.where, "task_id {} was already used at {}", json_quoted(id), first->second);
    rows.push_back(std::move(row.fields));
  }
  Documents documents = documents_of(variant, options, rows);
  documents.dataset = {task.dataset, "", "test", file.sha256, static_cast<int64_t>(rows.size())};
  return documents;
}

Documents open_variant_probe(const Variant& variant, const PromptOptions& options) {
  const nlohmann::json row = {{"task_id", "Probe/0"},
                              {"prompt", "def add(a, b):\n    \"\"\" Sum of a and b. \"\"\"\n"},
                              {"entry_point", "add"},
                              {"canonical_solution", "    return a + b\n"},
                              {"test", "def check(f):\n    assert f(1, 2) == 3\n"}};
  return documents_of(variant, options, {row});
}

Task variant_task(const Variant& variant) {
  Task task;
  task.name = variant.name;
  task.version = kVersion;
  task.description = variant.description;
  task.kind = TaskKind::kCode;
  task.scorer = variant.scorer;
  task.metrics = {{"pass@1"}};
  task.pass_at_k = variant.pass_at_k;
  task.dataset = variant.dataset;
  task.open = [&variant](const Task& self, const DataSource& source, const PromptOptions& options) {
    return open_variant(variant, self, source, options);
  };
  task.open_probe = [&variant](const Task&, const PromptOptions& options) {
    return open_variant_probe(variant, options);
  };
  return task;
}

}  // namespace

std::vector<Task> humaneval_tasks() {
  std::vector<Task> tasks;
  for (const Variant& variant : variants()) tasks.push_back(variant_task(variant));
  return tasks;
}

}  // namespace fathom::tasks
