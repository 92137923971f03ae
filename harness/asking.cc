#include "harness/asking.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/error.h"
#include "harness/data/resolve.h"
#include "tasks/dataset.h"
#include "tasks/embedded_data.h"

namespace fathom::harness {
namespace {

void add_sampling_options(CLI::App& command, tasks::PromptOptions& prompt) {
  command
      .add_option("--max-new-tokens", prompt.max_new_tokens, "Longest generated answer; default: the task's")
      ->check(CLI::PositiveNumber)
      ->option_text("N");
  command.add_option("--repeats", prompt.repeats, "Answers per document, for pass@k; default: the task's")
      ->check(CLI::PositiveNumber)
      ->option_text("N");
  command.add_option("--temperature", prompt.temperature, "Sampling temperature; default: the task's")
      ->check(CLI::NonNegativeNumber)
      ->option_text("T");
  command.add_option("--top-p", prompt.top_p, "Nucleus sampling; default: the task's")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("P");
}

void add_needle_options(CLI::App& command, Asking& asking) {
  command
      .add_option("--haystack", asking.haystack_dir,
                  "Needle tasks: folder of .txt files to hide needles in; default: built-in filler")
      ->option_text("DIR");
  command
      .add_option("--lengths", asking.prompt.needle_lengths, "Needle tasks: lengths in tokens: 1000,2000,...")
      ->delimiter(',')
      ->check(CLI::PositiveNumber)
      ->option_text("N,...");
  command.add_option("--depths", asking.prompt.needle_depths, "Needle tasks: depths in percent: 0,50,100")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 100.0))
      ->option_text("P,...");
}

// The two flags together choose the form of all prompts.
void add_chat_options(CLI::App& command, tasks::PromptOptions& prompt) {
  CLI::Option* chat = command.add_flag_callback(
      "--chat",
      [&prompt] {
        if (prompt.form == tasks::PromptForm::kText) prompt.form = tasks::PromptForm::kChat;
      },
      "Ask in turns, through the checkpoint's chat template");
  command
      .add_flag_callback(
          "--fewshot-as-multiturn", [&prompt] { prompt.form = tasks::PromptForm::kChatMultiturn; },
          "With --chat: each few-shot example is a turn of its own, not all of them one turn")
      ->needs(chat);
}

// Where the task's data lie; a task with built-in documents, or none, needs no folder.
std::filesystem::path data_folder(const Asking& asking, const tasks::Task& task) {
  if (task.dataset.empty() || tasks::has_embedded_files(task.dataset)) return asking.data_dir;
  return resolve_data_folder(task.dataset, asking.data_dir);
}

}  // namespace

void add_asking_options(CLI::App& command, Asking& asking) {
  command.add_option("TASK", asking.tasks, "Tasks and groups of `fathom list tasks`")->required();
  command
      .add_option("--data", asking.data_dir, "Folder of data sets; default: what `fathom data` has stored")
      ->option_text("DIR");
  command.add_option("--limit", asking.limit, "Only the first N documents of each task")
      ->check(CLI::PositiveNumber)
      ->option_text("N");
  command
      .add_option("--num-fewshot", asking.prompt.num_fewshot,
                  "Examples before each question; default: the task's")
      ->check(CLI::NonNegativeNumber)
      ->option_text("K");
  add_sampling_options(command, asking.prompt);
  add_needle_options(command, asking);
  add_chat_options(command, asking.prompt);
}

tasks::Selection select_tasks(const Asking& asking) {
  tasks::Selection selection = tasks::select_tasks(asking.tasks);
  tasks::require_options_used(selection, asking.prompt);
  return selection;
}

tasks::Documents open_task(const Asking& asking, const tasks::Task& task, const tasks::TokenCounter& tokens) {
  tasks::DataSource source{.root = data_folder(asking, task), .haystack = asking.haystack_dir};
  tasks::PromptOptions options = asking.prompt;
  options.tokens = &tokens;
  return tasks::open_documents(task, source, options);
}

int64_t n_asked(const Asking& asking, const tasks::Documents& documents) {
  const auto n = static_cast<int64_t>(documents.samples.size());
  return std::min(n, asking.limit.value_or(n));
}

}  // namespace fathom::harness
