#include "tasks/gsm8k.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/white_space.h"
#include "tasks/dataset.h"
#include "tasks/few_shot.h"
#include "tasks/prompts/gsm8k.h"
#include "tasks/python_random.h"

namespace fathom::tasks {
namespace {

using prompts::kDeepseekTrainRows;

constexpr std::string_view kVersion = "1.0";
constexpr uint32_t kFewShotSeed = 1234;  // lm-eval's default, the fourth number of its --seed
constexpr std::string_view kAnswerMark = "#### ";

struct Problem {
  std::string question;
  std::string answer;  // the solution, its last line "#### N"
};

// What distinguishes the variants from each other.
struct Variant {
  std::string_view name;
  std::string_view description;
  std::string_view dataset = "gsm8k";
  std::string_view question_head;  // before the question
  std::string_view question_tail;  // after it
  std::vector<std::string> stops;
  int64_t max_new_tokens;
  int64_t num_fewshot;
  int64_t max_num_fewshot;
  ScorerId scorer;
  std::vector<Metric> metrics;
  // The examples for each document (one list: the same for all), from the training rows.
  std::vector<std::vector<Example>> (*examples)(const Variant&, const std::vector<Problem>& train,
                                                int64_t n_docs, int64_t k);
  // The training rows that `examples` wants: all of them, or none.
  bool needs_train;
  bool always_chat;
};

std::string question_text(const Variant& variant, std::string_view question) {
  return fmt::format("{}{}{}", variant.question_head, question, variant.question_tail);
}

std::vector<std::vector<Example>> drawn_examples(const Variant& variant, const std::vector<Problem>& train,
                                                 int64_t n_docs, int64_t k) {
  std::vector<std::vector<Example>> examples;
  for (const std::vector<int64_t>& rows : gsm8k_example_rows(n_docs, static_cast<int64_t>(train.size()), k)) {
    std::vector<Example>& shown = examples.emplace_back();
    for (const int64_t row : rows) {
      shown.push_back({question_text(variant, train[row].question), train[row].answer});
    }
  }
  return examples;
}

std::vector<std::vector<Example>> worked_examples(const Variant& variant, const std::vector<Problem>&,
                                                  int64_t, int64_t k) {
  std::vector<Example> shown;
  for (const prompts::WorkedExample& example : std::span(prompts::kCotExamples).first(k)) {
    shown.push_back({question_text(variant, example.question), std::string(example.answer)});
  }
  return {shown};
}

std::string without(std::string text, std::string_view what) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at))
    text.erase(at, what.size());
  return text;
}

std::string straight_apostrophes(std::string text) {
  static constexpr std::string_view kCurly = "\u2019";
  for (size_t at = text.find(kCurly); at != std::string::npos; at = text.find(kCurly, at)) {
    text.replace(at, kCurly.size(), "'");
  }
  return text;
}

std::string final_number(std::string_view answer) {
  const size_t mark = answer.rfind(kAnswerMark);
  FATHOM_CHECK(mark != std::string_view::npos);
  return std::string(strip_white_space(answer.substr(mark + kAnswerMark.size())));
}

std::vector<std::vector<Example>> deepseek_examples(const Variant& variant, const std::vector<Problem>& train,
                                                    int64_t, int64_t k) {
  constexpr int64_t kWithoutDollars = 1915;  // the report prints no $ in this one
  std::vector<Example> shown;
  std::string prefix;
  for (const int64_t row : kDeepseekTrainRows) {
    const Problem& problem = train[row];
    Example example{question_text(variant, straight_apostrophes(problem.question)),
                    deepseek_rationale(problem.answer) + std::string(prompts::kDeepseekAnswerIs) +
                        final_number(problem.answer) + "."};
    if (row == kWithoutDollars) {
      example.question = without(example.question, "$");
      example.answer = without(example.answer, "$");
    }
    prefix += example.question + " " + example.answer + "\n\n";
    shown.push_back(std::move(example));
  }
  const std::string found = to_hex(sha256(prefix));
  if (found != prompts::kDeepseekPrefixSha256) {
    bad_input(
        "gsm8k/train.jsonl",
        "the report's 8-shot prompt rebuilt from it has SHA-256 {}, expected {}; is it the original file "
        "in its original order?",
        found, prompts::kDeepseekPrefixSha256);
  }
  shown.resize(static_cast<size_t>(k));
  return {shown};
}

std::vector<std::vector<Example>> no_examples(const Variant&, const std::vector<Problem>&, int64_t, int64_t) {
  return {{}};
}

template <size_t N>
std::vector<std::string> to_strings(const std::string_view (&views)[N]) {
  return {std::begin(views), std::end(views)};
}

const std::vector<Variant>& variants() {
  static const std::vector<Variant> kVariants = {
      {.name = "gsm8k",
       .description = "GSM8K as lm-eval's gsm8k: 5 examples drawn for each document",
       .question_head = prompts::kGsm8kQuestion,
       .question_tail = prompts::kGsm8kAnswer,
       .stops = to_strings(prompts::kGsm8kStops),
       .max_new_tokens = 256,
       .num_fewshot = 5,
       .max_num_fewshot = 64,
       .scorer = ScorerId::kGsm8k,
       .metrics = {{"exact_match", "strict-match"},
                   {"exact_match", "flexible-extract"},
                   {"exact_match", "fathom"}},
       .examples = drawn_examples,
       .needs_train = true,
       .always_chat = false},
      {.name = "demo_math",
       .description =
           "word problems in the layout of gsm8k, 1 example; built in, models/nano was taught such",
       .dataset = "demo_math",
       .question_head = prompts::kGsm8kQuestion,
       .question_tail = prompts::kGsm8kAnswer,
       .stops = to_strings(prompts::kGsm8kStops),
       .max_new_tokens = 112,
       .num_fewshot = 1,
       .max_num_fewshot = 8,
       .scorer = ScorerId::kGsm8k,
       .metrics = {{"exact_match", "strict-match"},
                   {"exact_match", "flexible-extract"},
                   {"exact_match", "fathom"}},
       .examples = drawn_examples,
       .needs_train = true,
       .always_chat = false},
      {.name = "gsm8k_cot",
       .description = "GSM8K as lm-eval's gsm8k_cot: 8 fixed worked examples",
       .question_head = prompts::kCotQuestion,
       .question_tail = prompts::kCotAnswer,
       .stops = to_strings(prompts::kCotStops),
       .max_new_tokens = 256,
       .num_fewshot = prompts::kNumCotExamples,
       .max_num_fewshot = prompts::kNumCotExamples,
       .scorer = ScorerId::kGsm8kCot,
       .metrics = {{"exact_match", "strict-match"},
                   {"exact_match", "flexible-extract"},
                   {"exact_match", "fathom"}},
       .examples = worked_examples,
       .needs_train = false,
       .always_chat = false},
      {.name = "gsm8k_deepseek",
       .description = "GSM8K as the DeepSeek-V2 report prints it: 8 fixed examples, step by step",
       .question_head = prompts::kCotQuestion,
       .question_tail = prompts::kDeepseekAnswer,
       .stops = to_strings(prompts::kDeepseekStops),
       .max_new_tokens = 512,
       .num_fewshot = std::size(kDeepseekTrainRows),
       .max_num_fewshot = std::size(kDeepseekTrainRows),
       .scorer = ScorerId::kGsm8kDeepseek,
       .metrics = {{"exact_match", "deepseek"}, {"exact_match", "fathom"}},
       .examples = deepseek_examples,
       .needs_train = true,
       .always_chat = false},
      {.name = "gsm8k_chat",
       .description = "GSM8K for chat models: no examples, DeepSeek-Math's instruction",
       .question_head = "",
       .question_tail = prompts::kChatInstruction,
       .stops = {},
       .max_new_tokens = 1024,
       .num_fewshot = 0,
       .max_num_fewshot = 0,
       .scorer = ScorerId::kGsm8kChat,
       .metrics = {{"exact_match", "fathom"}, {"exact_match", "flexible-extract"}},
       .examples = no_examples,
       .needs_train = false,
       .always_chat = true},
  };
  return kVariants;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "18", "-5", "1,234" or "0.5": digits, in groups of three if there are commas.
bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (const size_t point = text.find('.'); point != std::string_view::npos) {
    if (!is_digits(text.substr(point + 1))) return false;
    text = text.substr(0, point);
  }
  size_t comma = text.find(',');
  if (comma == std::string_view::npos) return is_digits(text);
  if (comma > 3 || !is_digits(text.substr(0, comma))) return false;
  for (; comma != std::string_view::npos; comma = text.find(',')) {
    text.remove_prefix(comma + 1);
    const std::string_view group = text.substr(0, text.find(','));
    if (group.size() != 3 || !is_digits(group)) return false;
  }
  return true;
}

std::vector<Problem> read_problems(const DataFile& file) {
  std::vector<Problem> problems;
  for (const JsonRow& row : parse_json_rows(file, {"question", "answer"})) {
    Problem problem{row.fields.at("question").get<std::string>(), row.fields.at("answer").get<std::string>()};
    const bool marked = problem.answer.find(kAnswerMark) != std::string::npos;
    const std::string number = marked ? final_number(problem.answer) : "";
    if (!is_number(number)) {
      bad_input(row.where, "expected \"answer\" to end in \"#### \" and a number, found {}",
                json_quoted(marked ? number : problem.answer));
    }
    problems.push_back(std::move(problem));
  }
  return problems;
}

Sample to_sample(const Problem& problem, int64_t doc_id) {
  Sample sample;
  sample.doc_id = doc_id;
  sample.doc_key = std::to_string(doc_id);
  sample.target = final_number(problem.answer);
  sample.fields = {{"question", problem.question}, {"answer", problem.answer}};
  return sample;
}

// `examples`: one list for all documents, or one for each.
Documents documents_of(const Variant& variant, const PromptOptions& options, const std::vector<Problem>& test,
                       const std::vector<std::vector<Example>>& examples) {
  Documents documents;
  for (const Problem& problem : test) {
    documents.samples.push_back(to_sample(problem, static_cast<int64_t>(documents.samples.size())));
  }
  auto contexts = std::make_shared<std::vector<FewShotContext>>();
  for (const std::vector<Example>& shown : examples) contexts->emplace_back(options.form, "", shown);
  documents.prompt = [&variant, contexts](const Sample& sample) {
    const FewShotContext& context = contexts->size() == 1 ? contexts->front() : contexts->at(sample.doc_id);
    Prompt prompt = context.ask(question_text(variant, sample.fields.at("question").get<std::string>()));
    prompt.stop = variant.stops;
    prompt.max_new_tokens = variant.max_new_tokens;
    return prompt;
  };
  return documents;
}

Documents open_variant(const Variant& variant, const Task& task, const DataSource& source,
                       const PromptOptions& options) {
  const int64_t k = num_fewshot(task, options);
  const DataFile test_file = read_data_file(source, task.dataset, "test.jsonl");
  const std::vector<Problem> test = read_problems(test_file);
  std::vector<Problem> train;
  if (variant.needs_train && k > 0) {
    const DataFile train_file = read_data_file(source, task.dataset, "train.jsonl");
    train = read_problems(train_file);
    const int64_t n_needed = variant.examples == deepseek_examples ? 7237 : k;
    if (static_cast<int64_t>(train.size()) < n_needed) {
      bad_input(train_file.where, "expected at least {} rows for the examples, found {}", n_needed,
                train.size());
    }
  }
  std::vector<std::vector<Example>> examples = {{}};
  if (k > 0) examples = variant.examples(variant, train, static_cast<int64_t>(test.size()), k);
  Documents documents = documents_of(variant, options, test, examples);
  documents.dataset = {task.dataset, "", "test", test_file.sha256, static_cast<int64_t>(test.size())};
  return documents;
}

Documents open_variant_probe(const Variant& variant, const Task& task, const PromptOptions& options) {
  std::vector<Problem> rows;
  for (int64_t i = 0; i < 40; ++i) {
    rows.push_back({fmt::format("Ann has {} stones and Bo has {}.  How many is that?", i, i + 1),
                    fmt::format("That is {0}+{1}=<<{0}+{1}={2}>>{2}.\n#### {2}", i, i + 1, 2 * i + 1)});
  }
  // The report's examples are real rows and pinned by a hash of their own, so they are left out here.
  const bool is_deepseek = variant.examples == deepseek_examples;
  const int64_t k = is_deepseek ? 0 : num_fewshot(task, options);
  const std::vector<Problem> test = {rows[7], rows[8]};
  std::vector<std::vector<Example>> examples = {{}};
  if (k > 0) examples = variant.examples(variant, rows, static_cast<int64_t>(test.size()), k);
  return documents_of(variant, options, test, examples);
}

Task variant_task(const Variant& variant) {
  Task task;
  task.name = variant.name;
  task.version = kVersion;
  task.description = variant.description;
  task.kind = TaskKind::kGenerate;
  task.scorer = variant.scorer;
  task.metrics = variant.metrics;
  task.dataset = variant.dataset;
  task.num_fewshot = variant.num_fewshot;
  task.max_num_fewshot = variant.max_num_fewshot;
  task.always_chat = variant.always_chat;
  task.open = [&variant](const Task& self, const DataSource& source, const PromptOptions& options) {
    return open_variant(variant, self, source, options);
  };
  task.open_probe = [&variant](const Task& self, const PromptOptions& options) {
    return open_variant_probe(variant, self, options);
  };
  return task;
}

}  // namespace

std::vector<std::vector<int64_t>> gsm8k_example_rows(int64_t n_docs, int64_t n_train, int64_t k) {
  PythonRandom random(kFewShotSeed);
  std::vector<std::vector<int64_t>> rows;
  for (int64_t i = 0; i < n_docs; ++i) rows.push_back(random.sample(n_train, k));
  return rows;
}

std::string deepseek_rationale(std::string_view answer) {
  std::string text(answer.substr(0, answer.rfind(kAnswerMark)));
  for (size_t open = text.find("<<"); open != std::string::npos; open = text.find("<<", open)) {
    const size_t close = text.find(">>", open);
    if (close == std::string::npos) break;
    text.erase(open, close + 2 - open);
  }
  std::string joined;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = strip_white_space(std::string_view(text).substr(at, end - at));
    at = end + 1;
    if (line.empty()) continue;
    if (!joined.empty()) joined += ' ';
    joined += line;
    if (!line.ends_with('.')) joined += '.';
  }
  return straight_apostrophes(joined);
}

std::vector<Task> gsm8k_tasks() {
  std::vector<Task> tasks;
  for (const Variant& variant : variants()) tasks.push_back(variant_task(variant));
  return tasks;
}

}  // namespace fathom::tasks
