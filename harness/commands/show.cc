// `fathom show RUN --db FILE`: the final table of a stored run.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "harness/commands.h"
#include "harness/run_report.h"
#include "results/runs.h"
#include "results/schema.h"

namespace fathom::harness {
namespace {

struct ShowOptions {
  std::string run;
  std::string db;
  bool json = false;
};

void run_show(const ShowOptions& options) {
  const results::Database database = results::open_for_reading(options.db);
  const int64_t run_id = results::find_run(database, options.run);
  fmt::print("{}",
             options.json ? run_report_json(database, run_id).dump(2) + "\n" : run_report(database, run_id));
}

}  // namespace

void add_show(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command =
      app.add_subcommand("show",
                         "Print the scores of a run with errors, intervals, methods and flags\n"
                         "A run that still goes on shows the samples stored so far.\n"
                         "Example: fathom show latest --db results.db");
  command->add_option("RUN", options->run, "A run's number, its UUID, or latest")->required();
  command->add_option("--db", options->db, "Results database")->required();
  command->add_flag("--json", options->json, "Print one JSON object, lm-eval's own standard errors included");
  command->callback([options] { run_show(*options); });
}

}  // namespace fathom::harness
