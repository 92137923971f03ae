#include "tasks/mmlu.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/white_space.h"
#include "tasks/dataset.h"
#include "tasks/few_shot.h"
#include "tasks/mmlu_subjects.h"
#include "tasks/prompts/mmlu.h"

namespace fathom::tasks {
namespace {

enum class Style { kLmEval, kOriginal, kCloze, kGenerative };

constexpr std::string_view kVersion = "1.0";
constexpr int64_t kMaxFewShot = 5;  // rows of each dev file
constexpr int64_t kGeneratedTokens = 256;

// A set of tasks with one layout over one data set, one task a subject.
struct Family {
  std::string group;    // "mmlu_cloze"
  std::string prefix;   // the task of a subject is called prefix_subject + suffix
  std::string suffix;   // "_cloze"
  std::string dataset;  // folder
  Style style;
  std::string description;
  int64_t num_fewshot = kMaxFewShot;  // default
};

const std::vector<std::string>& letters() {
  static const std::vector<std::string> kLetters = {"A", "B", "C", "D"};
  return kLetters;
}

const std::vector<Family>& mmlu_families() {
  static const std::vector<Family> kFamilies = {
      {"mmlu", "mmlu", "", "mmlu", Style::kLmEval, "MMLU as lm-eval's mmlu: letters by log-likelihood"},
      {"mmlu_original", "mmlu", "_original", "mmlu", Style::kOriginal,
       "MMLU as its authors' code prints it: two spaces before the subject"},
      {"mmlu_cloze", "mmlu", "_cloze", "mmlu", Style::kCloze,
       "MMLU as lm-eval's mmlu_continuation: answer texts by log-likelihood"},
      {"mmlu_generative", "mmlu", "_generative", "mmlu", Style::kGenerative,
       "MMLU as lm-eval's mmlu_generative: the letter is generated"},
  };
  return kFamilies;
}

// A family over questions of fathom's own, with subjects of its own.
struct BuiltInFamily {
  Family family;
  std::vector<std::string_view> subjects;
};

const std::vector<BuiltInFamily>& built_in_families() {
  static const std::vector<std::string_view> kDemoSubjects = {
      "trades",     "geography",      "zoology",       "astronomy",        "music", "botany", "history",
      "arithmetic", "reading_nature", "reading_tools", "reading_household"};
  static const std::vector<BuiltInFamily> kFamilies = {
      {{"mmlu_sample", "mmlu_sample", "", "mmlu_sample", Style::kLmEval,
        "fathom's own questions in the layout of mmlu; built in, for trying things out"},
       {"everyday_physics", "geography", "arithmetic", "words"}},
      {{"demo_choice", "demo_choice", "", "demo_choice", Style::kLmEval,
        "facts of an invented world, taught to models/nano, and questions that name their answer, as mmlu",
        1},
       kDemoSubjects},
      {{"demo_cloze", "demo_cloze", "", "demo_choice", Style::kCloze,
        "the questions of demo_choice in the layout of mmlu_cloze; built in", 1},
       kDemoSubjects},
  };
  return kFamilies;
}

std::string spaced(std::string_view subject) {
  std::string words(subject);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::string description_text(Style style, std::string_view subject) {
  std::string text(style == Style::kCloze ? prompts::kMmluClozeDescription : prompts::kMmluDescription);
  if (style == Style::kOriginal) text += ' ';
  return text + spaced(subject) + std::string(prompts::kMmluDescriptionEnd);
}

std::string question_text(Style style, const ChoiceQuestion& row) {
  const std::string_view stripped = strip_white_space(row.question);
  if (style == Style::kCloze) {
    return fmt::format("{}{}{}", prompts::kMmluClozeQuestion, stripped, prompts::kMmluAnswer);
  }
  return fmt::format("{}\nA. {}\nB. {}\nC. {}\nD. {}{}",
                     style == Style::kOriginal ? std::string_view(row.question) : stripped, row.choices[0],
                     row.choices[1], row.choices[2], row.choices[3], prompts::kMmluAnswer);
}

std::string answer_text(Style style, const ChoiceQuestion& row) {
  return style == Style::kCloze ? row.choices[row.gold] : letters()[row.gold];
}

Sample to_sample(const ChoiceQuestion& row, int64_t doc_id, const std::string& subject) {
  Sample sample;
  sample.doc_id = doc_id;
  sample.doc_key = std::to_string(doc_id);
  sample.cluster = subject;
  sample.target = letters()[row.gold];
  sample.fields = {{"question", row.question}, {"choices", row.choices}, {"gold", row.gold}};
  return sample;
}

ChoiceQuestion to_question(const Sample& sample) {
  return {sample.fields.at("question").get<std::string>(),
          sample.fields.at("choices").get<std::vector<std::string>>(),
          sample.fields.at("gold").get<int64_t>()};
}

Prompt ask(Style style, const FewShotContext& context, const Sample& sample) {
  const ChoiceQuestion row = to_question(sample);
  Prompt prompt = context.ask(question_text(style, row));
  if (style == Style::kGenerative) {
    prompt.stop.assign(std::begin(prompts::kMmluGenerativeStops), std::end(prompts::kMmluGenerativeStops));
    prompt.max_new_tokens = kGeneratedTokens;
  } else {
    prompt.continuations =
        continuations_for(context.form(), style == Style::kCloze ? row.choices : letters());
  }
  return prompt;
}

// `dev` has at least as many rows as examples are wanted.
Documents documents_of(const Task& task, Style style, const PromptOptions& options,
                       const std::vector<ChoiceQuestion>& dev, const std::vector<ChoiceQuestion>& test) {
  std::vector<Example> examples;
  for (int64_t i = 0; i < num_fewshot(task, options); ++i) {
    examples.push_back({question_text(style, dev[i]), answer_text(style, dev[i])});
  }
  Documents documents;
  for (const ChoiceQuestion& row : test) {
    documents.samples.push_back(to_sample(row, static_cast<int64_t>(documents.samples.size()), task.subset));
  }
  const auto context =
      std::make_shared<FewShotContext>(options.form, description_text(style, task.subset), examples);
  documents.prompt = [style, context](const Sample& sample) { return ask(style, *context, sample); };
  return documents;
}

Documents open_subject(const Task& task, Style style, const DataSource& source,
                       const PromptOptions& options) {
  const DataFile test = read_data_file(source, task.dataset, fmt::format("test/{}_test.csv", task.subset));
  std::vector<ChoiceQuestion> dev_rows;
  const int64_t n_examples = num_fewshot(task, options);
  if (n_examples > 0) {
    const DataFile dev = read_data_file(source, task.dataset, fmt::format("dev/{}_dev.csv", task.subset));
    dev_rows = parse_choice_questions(dev);
    if (static_cast<int64_t>(dev_rows.size()) < n_examples) {
      bad_input(dev.where, "expected at least {} rows for {} few-shot examples, found {}", n_examples,
                n_examples, dev_rows.size());
    }
  }
  Documents documents = documents_of(task, style, options, dev_rows, parse_choice_questions(test));
  documents.dataset = {task.dataset, task.subset, "test", test.sha256,
                       static_cast<int64_t>(documents.samples.size())};
  return documents;
}

Documents open_subject_probe(const Task& task, Style style, const PromptOptions& options) {
  std::vector<ChoiceQuestion> dev;
  for (int64_t i = 0; i < kMaxFewShot; ++i) {
    dev.push_back({fmt::format(" Which of these is the number {}? ", i),
                   {fmt::format("{}", i), fmt::format(" {} ", i + 1), "none", ""},
                   i % 4});
  }
  const std::vector<ChoiceQuestion> test = {
      {"Which letter comes first?", {"a", "b", "c", "d"}, 0},
      {"\n Two lines,\r\none question \n", {"yes", "no", "Both, at times", "\"neither\""}, 3}};
  return documents_of(task, style, options, dev, test);
}

void set_scorer(Task& task, Style style) {
  switch (style) {
    case Style::kLmEval:
    case Style::kOriginal:
      task.kind = TaskKind::kChoice;
      task.scorer = ScorerId::kChoice;
      task.metrics = {{"acc"}};
      return;
    case Style::kCloze:
      task.kind = TaskKind::kChoice;
      task.scorer = ScorerId::kChoiceNormalised;
      task.metrics = {{"acc"}, {"acc_norm"}};
      return;
    case Style::kGenerative:
      task.kind = TaskKind::kGenerate;
      task.scorer = ScorerId::kLetterMatch;
      task.metrics = {{"exact_match", "get_response"}, {"exact_match", "fathom"}};
      return;
  }
  FATHOM_CHECK(false, "style {}", static_cast<int>(style));
}

std::string task_name(const Family& family, std::string_view subject) {
  return fmt::format("{}_{}{}", family.prefix, subject, family.suffix);
}

// lm-eval puts a word of its own where fathom puts the suffix; both, and the group's name before the subject,
// are understood.
constexpr std::string_view kLmEvalCloze = "_continuation";

std::vector<std::string> subject_aliases(const Family& family, std::string_view subject) {
  std::vector<std::string> aliases;
  if (family.suffix.empty()) return aliases;
  aliases.push_back(fmt::format("{}_{}", family.group, subject));
  if (family.style == Style::kCloze) aliases.push_back(fmt::format("mmlu_{}{}", subject, kLmEvalCloze));
  return aliases;
}

Task subject_task(const Family& family, std::string_view subject) {
  Task task;
  task.name = task_name(family, subject);
  task.aliases = subject_aliases(family, subject);
  task.version = kVersion;
  task.description = fmt::format("{}: {}", family.description, spaced(subject));
  task.dataset = family.dataset;
  task.subset = subject;
  task.group = family.group;
  task.num_fewshot = family.num_fewshot;
  task.max_num_fewshot = kMaxFewShot;
  set_scorer(task, family.style);
  const Style style = family.style;
  task.open = [style](const Task& self, const DataSource& source, const PromptOptions& options) {
    return open_subject(self, style, source, options);
  };
  task.open_probe = [style](const Task& self, const PromptOptions& options) {
    return open_subject_probe(self, style, options);
  };
  return task;
}

// The categories of `family` under one of the two maps.
void add_categories(std::vector<Group>& groups, const Family& family,
                    std::string_view MmluSubject::* category_of, std::string_view map_name) {
  for (const std::string_view category : mmlu_categories()) {
    Group group;
    group.name = fmt::format("mmlu_{}{}{}{}", category, family.suffix, map_name.empty() ? "" : "@", map_name);
    group.description = fmt::format("{} of {}, {} category map", spaced(category), family.group,
                                    map_name.empty() ? "lm-eval's" : "the original");
    for (const MmluSubject& subject : mmlu_subjects()) {
      if (subject.*category_of == category) group.members.push_back(task_name(family, subject.name));
    }
    groups.push_back(std::move(group));
  }
}

}  // namespace

std::vector<Task> mmlu_tasks() {
  std::vector<Task> tasks;
  for (const Family& family : mmlu_families()) {
    for (const MmluSubject& subject : mmlu_subjects()) tasks.push_back(subject_task(family, subject.name));
  }
  for (const auto& [family, subjects] : built_in_families()) {
    for (const std::string_view subject : subjects) tasks.push_back(subject_task(family, subject));
  }
  return tasks;
}

std::vector<Group> mmlu_groups() {
  std::vector<Group> groups;
  for (const Family& family : mmlu_families()) {
    Group all{family.group, {}, family.description, {}};
    if (family.style == Style::kCloze) all.aliases.push_back(fmt::format("mmlu{}", kLmEvalCloze));
    for (const MmluSubject& subject : mmlu_subjects()) all.members.push_back(task_name(family, subject.name));
    groups.push_back(std::move(all));
    add_categories(groups, family, &MmluSubject::category, "");
    add_categories(groups, family, &MmluSubject::original_category, "original");
  }
  for (const auto& [family, subjects] : built_in_families()) {
    Group group{family.group, {}, family.description, {}};
    for (const std::string_view subject : subjects) group.members.push_back(task_name(family, subject));
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace fathom::tasks
