// `fathom baseline set|list|remove`: names for runs that others are compared with.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/clock.h"
#include "harness/commands.h"
#include "harness/comparison_report.h"
#include "harness/text_table.h"
#include "harness/version.h"
#include "results/judging/baselines.h"
#include "results/runs.h"
#include "results/schema.h"
#include "results/store.h"

namespace fathom::harness {
namespace {

struct BaselineOptions {
  std::string name;
  std::string run;
  std::string db;
};

void add_db_option(CLI::App& command, BaselineOptions& options) {
  command.add_option("--db", options.db, "Results database")->required()->option_text("FILE");
}

void run_set(const BaselineOptions& options) {
  // Names a run that must exist: without this a misspelt --db would make a new file.
  results::open_for_reading(options.db);
  results::Store store = results::Store::open_for_writing(options.db, version_number());
  const int64_t run_id = results::resolve_run(store.database(), options.run);
  results::set_baseline(store.database(), options.name, run_id);
  fmt::print("baseline {} is run {}\n", options.name, run_id);
}

void run_remove(const BaselineOptions& options) {
  results::open_for_reading(options.db);
  results::Store store = results::Store::open_for_writing(options.db, version_number());
  results::remove_baseline(store.database(), options.name);
}

void run_list(const BaselineOptions& options) {
  const results::Database database = results::open_for_reading(options.db);
  TextTable table("lll", {"baseline", "set (UTC)", "run"});
  for (const results::Baseline& baseline : results::list_baselines(database)) {
    table.add(
        {baseline.name, format_utc(baseline.set_us), run_line(results::run_info(database, baseline.run_id))});
  }
  fmt::print("{}", table.text());
}

}  // namespace

void add_baseline(CLI::App& app, CommandContext&) {
  CLI::App* baseline = app.add_subcommand("baseline",
                                          "Name the runs that others are compared with\n"
                                          "Example: fathom baseline set nightly latest --db results.db");
  baseline->require_subcommand(1);
  auto options = std::make_shared<BaselineOptions>();

  CLI::App* set = baseline->add_subcommand("set",
                                           "Give a run a name; a name that is taken moves\n"
                                           "Example: fathom baseline set release 12 --db results.db");
  set->add_option("NAME", options->name, "Letters, digits, '.', '_' and '-'")->required();
  set->add_option("RUN", options->run, "A run's number, its UUID, latest, or another baseline")->required();
  add_db_option(*set, *options);
  set->callback([options] { run_set(*options); });

  CLI::App* list = baseline->add_subcommand("list",
                                            "List the names and their runs\n"
                                            "Example: fathom baseline list --db results.db");
  add_db_option(*list, *options);
  list->callback([options] { run_list(*options); });

  CLI::App* remove = baseline->add_subcommand("remove",
                                              "Forget a name; the run stays\n"
                                              "Example: fathom baseline remove release --db results.db");
  remove->add_option("NAME", options->name)->required();
  add_db_option(*remove, *options);
  remove->callback([options] { run_remove(*options); });
}

}  // namespace fathom::harness
