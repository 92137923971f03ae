// `fathom samples RUN --db FILE [--task T]`: the stored samples of a run as JSON Lines.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json_lines.h"
#include "harness/commands.h"
#include "harness/run_report.h"
#include "results/runs.h"
#include "results/schema.h"

namespace fathom::harness {
namespace {

struct SamplesOptions {
  std::string run;
  std::string db;
  std::string task;
  std::string output = "-";
};

void run_samples(const SamplesOptions& options) {
  const results::Database database = results::open_for_reading(options.db);
  const int64_t run_id = results::find_run(database, options.run);
  JsonLinesWriter writer(options.output);
  results::for_each_sample(database, run_id, options.task,
                           [&](const results::StoredSample& sample) { writer.write(sample_json(sample)); });
}

}  // namespace

void add_samples(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<SamplesOptions>();
  CLI::App* command =
      app.add_subcommand("samples",
                         "Print the stored samples of a run, one JSON object a line\n"
                         "Example: fathom samples latest --db results.db --task mmlu_anatomy");
  command->add_option("RUN", options->run, "A run's number, its UUID, or latest")->required();
  command->add_option("--db", options->db, "Results database")->required();
  command->add_option("--task", options->task, "Only this task, or the members of this group");
  command->add_option("--output", options->output, "File to write, - for standard output")
      ->capture_default_str();
  command->callback([options] { run_samples(*options); });
}

}  // namespace fathom::harness
