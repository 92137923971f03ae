// `fathom rescore RUN --db FILE`
#include "harness/rescore.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "harness/commands.h"
#include "harness/commands/sandbox_options.h"

namespace fathom::harness {

void add_rescore(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "rescore",
      "Judge the stored answers of a run again with this fathom's scorers\n"
      "No model is loaded; code tasks run their programs again. The old scores stay beside the new ones.\n"
      "Example: fathom rescore latest --db results.db --data data");
  auto plan = std::make_shared<RescorePlan>();
  auto sandbox = std::make_shared<SandboxArguments>();
  command->add_option("RUN", plan->run, "A run's number, its UUID, or latest")->required();
  command->add_option("--db", plan->db, "Results database")->required()->option_text("FILE");
  command->add_option("--data", plan->data_dir, "Folder of data sets; default: what `fathom data` has stored")
      ->option_text("DIR");
  command
      ->add_option("--haystack", plan->haystack_dir,
                   "Needle tasks: the folder of .txt files that the run had")
      ->option_text("DIR");
  command
      ->add_option(
          "--model", plan->model_dir,
          "Needle tasks: the checkpoint whose tokenizer measured them; default: where the run found it")
      ->option_text("DIR");
  add_sandbox_options(*command, sandbox);
  command->callback([plan, sandbox, &context] {
    plan->sandbox = sandbox->options();
    context.exit_code = rescore(*plan);
  });
}

}  // namespace fathom::harness
