// `fathom list runs --db FILE`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json_lines.h"
#include "harness/commands.h"
#include "results/runs.h"
#include "results/schema.h"

namespace fathom::harness {
namespace {

struct ListRunsOptions {
  std::string db;
  bool json = false;
};

// "mmlu_anatomy and 56 more"
std::string brief(const std::vector<std::string>& tasks) {
  if (tasks.size() <= 2) return fmt::format("{}", fmt::join(tasks, ", "));
  return fmt::format("{} and {} more", tasks[0], tasks.size() - 1);
}

void print_table(const std::vector<results::RunInfo>& runs) {
  fmt::print("{:>4}  {:<11}  {:<19}  {:<20}  {:>13}  {}\n", "run", "status", "created (UTC)", "model",
             "samples", "tasks");
  for (const results::RunInfo& run : runs) {
    fmt::print("{:>4}  {:<11}  {:<19}  {:<20}  {:>13}  {}{}\n", run.run_id,
               results::run_status_name(run.status), format_utc(run.created_us), run.model,
               fmt::format("{}/{}", run.n_stored, run.n_planned), brief(run.tasks),
               run.name.empty() ? "" : "  \"" + run.name + "\"");
  }
}

void print_json(const std::vector<results::RunInfo>& runs) {
  JsonLinesWriter writer("-");
  for (const results::RunInfo& run : runs) {
    writer.write({{"run", run.run_id},
                  {"uuid", run.uuid},
                  {"name", run.name},
                  {"tags", run.tags},
                  {"status", results::run_status_name(run.status)},
                  {"created", format_utc(run.created_us)},
                  {"model", run.model},
                  {"train_step", run.train_step ? nlohmann::json(*run.train_step) : nlohmann::json(nullptr)},
                  {"tasks", run.tasks},
                  {"samples_planned", run.n_planned},
                  {"samples_stored", run.n_stored},
                  {"samples_without_answer", run.n_errors}});
  }
}

void add_list_runs(CLI::App& list) {
  auto options = std::make_shared<ListRunsOptions>();
  CLI::App* command = list.add_subcommand("runs",
                                          "List the runs of a results database, newest first\n"
                                          "Example: fathom list runs --db results.db");
  command->add_option("--db", options->db, "Results database")->required();
  command->add_flag("--json", options->json, "One JSON object a line");
  command->callback([options] {
    const std::vector<results::RunInfo> runs = results::list_runs(results::open_for_reading(options->db));
    options->json ? print_json(runs) : print_table(runs);
  });
}

}  // namespace

void add_list(CLI::App& app, CommandContext&) {
  CLI::App* list = app.add_subcommand("list",
                                      "List what there is\n"
                                      "Example: fathom list runs --db results.db");
  list->require_subcommand(1);
  add_list_runs(*list);
}

}  // namespace fathom::harness
