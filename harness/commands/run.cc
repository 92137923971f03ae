// fathom run
#include "harness/run.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "harness/asking.h"
#include "harness/commands.h"
#include "harness/commands/sandbox_options.h"
#include "harness/model_series.h"
#include "harness/options.h"

namespace fathom::harness {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  fathom run mmlu --model checkpoints/v2-lite --data data --db results.db\n"
    "  fathom run gsm8k mmlu_anatomy --model DIR --db results.db --limit 50 --name smoke\n"
    "  fathom run mmlu --model DIR --dry-run\n"
    "  fathom run mmlu --model 'ckpt/step-*' --db results.db        (one run after the other, by step)\n";

struct RunOptions {
  RunPlan plan;
  bool dry_run = false;
  std::shared_ptr<SandboxArguments> sandbox = std::make_shared<SandboxArguments>();
};

void add_answering_options(CLI::App& command, RunPlan& plan) {
  add_engine_options(command, plan.engine);
  add_bos_option(command, plan.bos);
  add_truncate_option(command, plan.truncate);
}

void add_keeping_options(CLI::App& command, RunOptions& options) {
  RunPlan& plan = options.plan;
  command.add_option("--db", plan.db, "results database (created if missing)")->option_text("FILE");
  command
      .add_option("--db-local", plan.db_local,
                  "work on a copy of --db in this folder of a local disk and copy it back at the end")
      ->option_text("DIR");
  command
      .add_option("--committed", plan.committed,
                  "write a JSON line for each sample once it is on disk; - is standard output")
      ->option_text("FILE");
  command.add_option("--output", plan.output, "also write the final numbers as JSON")->option_text("FILE");
  command.add_option("--name", plan.name, "name of the run in tables");
  command.add_option("--tag", plan.tags, "a tag to find the run by; may be repeated");
  command.add_flag("--dry-run", options.dry_run, "count prompts, tokens, memory and time; compute nothing");
  command.add_flag("--fresh", plan.fresh, "a new run even where a stored one has the answers");
  command.add_flag("--rehash", plan.rehash,
                   "hash the weights whatever the cache knows; before the first sample where a stored run "
                   "may be continued");
}

void add_code_options(CLI::App& command, RunOptions& options) {
  options.sandbox->workers = 1;  // the engine has the processors; programs are short and take what it leaves
  add_sandbox_options(command, options.sandbox);
  command.add_flag("--skip-unavailable", options.plan.skip_unavailable,
                   "leave code tasks out when the sandbox is not available");
}

// One run after the other; a checkpoint that is done already costs nothing, so the same command goes on after
// an error.
int run_series(const RunOptions& options) {
  const std::vector<std::string> models = model_series(options.plan.engine.model_dir);
  if (models.size() > 1 && !options.plan.output.empty()) {
    throw Error(ErrorKind::kUsage,
                "--output is for one run, and --model matches several checkpoints; use `fathom show --json`");
  }
  if (models.size() > 1 && !options.plan.committed.empty()) {
    throw Error(ErrorKind::kUsage, "--committed is for one run, and --model matches several checkpoints");
  }
  int exit_code = kExitDone;
  for (const std::string& model : models) {
    RunPlan plan = options.plan;
    plan.engine.model_dir = model;
    if (models.size() > 1) fmt::print(stderr, "fathom: {}\n", model);
    const int code = options.dry_run ? dry_run(plan) : run(plan);
    if (code != kExitDone) exit_code = code;
    if (code != kExitDone && code != kExitUnscored) break;  // a signal
  }
  return exit_code;
}

}  // namespace

void add_run(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand("run", "Evaluate tasks, store every sample and print the table");
  const auto options = std::make_shared<RunOptions>();
  add_asking_options(*command, options->plan.asking);
  command->add_option("--seed", options->plan.seed, "seed of sampled answers")->capture_default_str();
  add_answering_options(*command, options->plan);
  add_keeping_options(*command, *options);
  add_code_options(*command, *options);
  command->footer(kExamples);
  command->callback([options, &context] {
    RunPlan& plan = options->plan;
    plan.command_line = context.command_line;
    plan.sandbox = options->sandbox->options();
    plan.sandbox.nice = 10;
    if (!options->dry_run && plan.db.empty())
      throw Error(ErrorKind::kUsage, "--db FILE is needed (or --dry-run)");
    context.exit_code = run_series(*options);
  });
}

}  // namespace fathom::harness
