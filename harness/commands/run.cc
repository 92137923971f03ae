// fathom run
#include "harness/run.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "harness/commands.h"
#include "harness/options.h"

namespace fathom::harness {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  fathom run mmlu --model checkpoints/v2-lite --data data --db results.db\n"
    "  fathom run gsm8k mmlu_anatomy --model DIR --db results.db --limit 50 --name smoke\n"
    "  fathom run mmlu --model DIR --dry-run\n";

struct RunOptions {
  RunPlan plan;
  bool dry_run = false;
  bool chat = false;
  bool fewshot_as_multiturn = false;
  std::string sandbox_level = "auto";
};

void add_asking_options(CLI::App& command, RunOptions& options) {
  RunPlan& plan = options.plan;
  command.add_option("TASK", plan.tasks, "tasks and groups of `fathom list tasks`")->required();
  command.add_option("--data", plan.data_dir, "folder of data sets; default: what `fathom data` has stored")
      ->option_text("DIR");
  command
      .add_option("--haystack", plan.haystack_dir,
                  "folder of .txt files for needle tasks; default: built-in filler")
      ->option_text("DIR");
  command.add_option("--limit", plan.limit, "only the first N documents of each task")
      ->check(CLI::PositiveNumber)
      ->option_text("N");
  command
      .add_option("--num-fewshot", plan.prompt.num_fewshot,
                  "examples before each question; default: the task's")
      ->check(CLI::NonNegativeNumber)
      ->option_text("K");
  command
      .add_option("--max-new-tokens", plan.prompt.max_new_tokens,
                  "longest generated answer; default: the task's")
      ->check(CLI::PositiveNumber)
      ->option_text("N");
  command.add_option("--repeats", plan.prompt.repeats, "answers per document, for pass@k")
      ->check(CLI::PositiveNumber)
      ->option_text("N");
  command.add_option("--temperature", plan.prompt.temperature, "sampling temperature; default: the task's")
      ->check(CLI::NonNegativeNumber)
      ->option_text("T");
  command.add_option("--top-p", plan.prompt.top_p, "nucleus sampling; default: the task's")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("P");
  command
      .add_option("--lengths", plan.prompt.needle_lengths, "needle tasks: lengths in tokens, 1000,2000,...")
      ->delimiter(',');
  command.add_option("--depths", plan.prompt.needle_depths, "needle tasks: depths in percent, 0,50,100")
      ->delimiter(',');
  command.add_option("--seed", plan.seed, "seed of sampled answers")->capture_default_str();
  command.add_flag("--chat", options.chat, "ask in turns, through the checkpoint's chat template");
  command.add_flag("--fewshot-as-multiturn", options.fewshot_as_multiturn,
                   "with --chat: each example is a turn of its own");
}

void add_answering_options(CLI::App& command, RunPlan& plan) {
  add_engine_options(command, plan.engine);
  add_bos_option(command, plan.bos);
  add_truncate_option(command, plan.truncate);
}

void add_keeping_options(CLI::App& command, RunOptions& options) {
  RunPlan& plan = options.plan;
  command.add_option("--db", plan.db, "results database (created if missing)")->option_text("FILE");
  command.add_option("--output", plan.output, "also write the final numbers as JSON")->option_text("FILE");
  command.add_option("--name", plan.name, "name of the run in tables");
  command.add_option("--tag", plan.tags, "a tag to find the run by; may be repeated");
  command.add_flag("--dry-run", options.dry_run, "count prompts, tokens, memory and time; compute nothing");
  command.add_flag("--fresh", plan.fresh, "a new run even where a stored one has the answers");
  command.add_flag("--rehash", plan.rehash, "hash the weights even if the cache knows them");
}

void add_sandbox_options(CLI::App& command, RunOptions& options) {
  RunPlan& plan = options.plan;
  command.add_option("--sandbox", options.sandbox_level, "how model-written programs are confined")
      ->check(CLI::IsMember({"auto", "full", "bwrap", "landlock", "none"}))
      ->capture_default_str();
  command.add_flag("--i-know-this-is-unsafe", plan.sandbox.accept_no_sandbox, "needed for --sandbox=none");
  command.add_flag("--skip-unavailable", plan.skip_unavailable,
                   "leave code tasks out when the sandbox is not available");
  command.add_option("--sandbox-workers", plan.sandbox.n_workers, "programs that run at the same time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command.add_option("--sandbox-python", plan.sandbox.python, "interpreter of code tasks")
      ->option_text("FILE");
}

tasks::PromptForm prompt_form(const RunOptions& options) {
  if (!options.chat && options.fewshot_as_multiturn) {
    throw Error(ErrorKind::kUsage, "--fewshot-as-multiturn needs --chat");
  }
  if (!options.chat) return tasks::PromptForm::kText;
  return options.fewshot_as_multiturn ? tasks::PromptForm::kChatMultiturn : tasks::PromptForm::kChat;
}

}  // namespace

void add_run(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("run", "Evaluate tasks, store every sample and print the table");
  const auto options = std::make_shared<RunOptions>();
  // The engine has the processors; programs are short and take what it leaves.
  options->plan.sandbox.n_workers = 1;
  options->plan.sandbox.nice = 10;
  add_asking_options(*command, *options);
  add_answering_options(*command, options->plan);
  add_keeping_options(*command, *options);
  add_sandbox_options(*command, *options);
  command->footer(kExamples);
  command->callback([options, &context] {
    RunPlan& plan = options->plan;
    plan.prompt.form = prompt_form(*options);
    plan.command_line = context.command_line;
    plan.sandbox.level = sandbox::parse_level(options->sandbox_level);
    if (options->dry_run) {
      context.exit_code = dry_run(plan);
      return;
    }
    if (plan.db.empty()) throw Error(ErrorKind::kUsage, "--db FILE is needed (or --dry-run)");
    context.exit_code = run(plan);
  });
}

}  // namespace fathom::harness
