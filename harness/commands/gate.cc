// `fathom gate --base A --cand B --db FILE`: may the candidate replace the base? The exit code is the
// verdict.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "harness/commands.h"
#include "harness/gate_report.h"
#include "harness/run_pair.h"
#include "harness/version.h"
#include "results/judging/gate.h"
#include "results/judging/verdict_store.h"
#include "results/store.h"
#include "results/writer_lock.h"

namespace fathom::harness {
namespace {

constexpr const char* kAbout =
    "Judge whether a candidate run may replace a base run; the exit code is the verdict\n"
    "0 pass, 10 regressed, 11 inconclusive, 12 not comparable, 13 incomplete. docs/compare.md has the "
    "policy's keys.\n"
    "Examples: fathom gate --base nightly --cand latest --db results.db\n"
    "          fathom gate --base 3 --cand 4 --db results.db --policy policy.json --junit gate.xml";

struct GateOptions {
  RunPair runs;
  std::string policy;
  std::string junit;
  std::string json;
  bool no_store = false;
};

results::Policy load_policy(const std::string& path) {
  return path.empty() ? results::Policy{} : results::parse_policy(read_file(path), path);
}

// Verdicts are kept where both runs are; a database that is being written is left to its writer.
void store(const GateOptions& options, const GateOutcome& outcome, const nlohmann::json& report) {
  if (options.no_store) return;
  if (!options.runs.cand_db.empty() && options.runs.cand_db != options.runs.db) {
    fmt::print(stderr, "fathom: note: the runs are in two databases, so the verdict is not stored\n");
    return;
  }
  if (results::WriterLock::is_held(options.runs.db)) {
    fmt::print(stderr, "fathom: note: {} is being written by another process, so the verdict is not stored\n",
               options.runs.db);
    return;
  }
  results::Store store = results::Store::open_for_writing(options.runs.db, version_number());
  results::store_verdict(store.database(), outcome.runs.base.info.run_id, outcome.runs.cand.info.run_id,
                         outcome.policy, outcome.report.verdict, report.dump());
}

int run_gate(const GateOptions& options) {
  const results::Policy policy = load_policy(options.policy);
  const results::PairedRuns runs = load_pair(options.runs);
  const results::GateReport report = results::judge(runs, policy);
  const GateOutcome outcome{runs, policy, options.policy.empty() ? "default" : options.policy, report};
  const nlohmann::json report_json = gate_json(outcome);
  if (!options.junit.empty()) write_file_atomically(options.junit, gate_junit(outcome));
  if (!options.json.empty()) write_json(options.json, report_json);
  if (options.json != "-") fmt::print("{}", gate_text(outcome));
  store(options, outcome, report_json);
  return gate_exit_code(report.verdict);
}

}  // namespace

void add_gate(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<GateOptions>();
  CLI::App* command = app.add_subcommand("gate", kAbout);
  command
      ->add_option("--base", options->runs.base,
                   "A run's number, its UUID, latest, or the name of a baseline")
      ->required()
      ->option_text("RUN");
  command->add_option("--cand", options->runs.cand, "The run that is judged")->required()->option_text("RUN");
  add_database_options(*command, options->runs);
  command
      ->add_option("--policy", options->policy, "What must not get worse, as JSON; default: docs/compare.md")
      ->option_text("FILE");
  command->add_option("--junit", options->junit, "Also write JUnit XML")->option_text("FILE");
  command
      ->add_option("--json", options->json,
                   "Also write everything as JSON; - writes it to standard output instead")
      ->option_text("FILE");
  command->add_flag("--no-store", options->no_store, "Do not keep the verdict in the database");
  command->callback([options, &context] { context.exit_code = run_gate(*options); });
}

}  // namespace fathom::harness
