// `fathom compare BASE CAND --db FILE`: what changed between two runs.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "harness/commands.h"
#include "harness/comparison_report.h"
#include "harness/run_pair.h"

namespace fathom::harness {
namespace {

struct CompareOptions {
  RunPair runs;
  std::string json;
  std::string flips = "10";
};

size_t n_flips(const std::string& text) {
  if (text == "all") return std::numeric_limits<size_t>::max();
  const bool digits =
      !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits)
    throw Error(ErrorKind::kUsage, fmt::format("--flips: expected a number or all, found {}", text));
  return std::stoul(text);
}

void run_compare(const CompareOptions& options) {
  const size_t n = n_flips(options.flips);
  const results::PairedRuns runs = load_pair(options.runs);
  const results::Comparison comparison = results::compare_runs(runs);
  if (!options.json.empty()) {
    write_json(options.json, comparison_json(runs, comparison, n));
    if (options.json == "-") return;
  }
  fmt::print("{}", comparison_report(runs, comparison, n));
}

}  // namespace

void add_compare(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand(
      "compare",
      "Compare two runs document by document, on identical prompts\n"
      "Differences with intervals and tests, the documents whose score flipped, speed, and what\n"
      "differs between the runs.\n"
      "Examples: fathom compare 1 latest --db results.db\n"
      "          fathom compare nightly 7 --db a.db --cand-db b.db --flips all --json diff.json");
  command
      ->add_option("BASE", options->runs.base, "A run's number, its UUID, latest, or the name of a baseline")
      ->required();
  command->add_option("CAND", options->runs.cand, "The run that is compared with it")->required();
  add_database_options(*command, options->runs);
  command
      ->add_option("--flips", options->flips,
                   "How many flipped documents of either direction to list, or all")
      ->option_text("N|all")
      ->capture_default_str();
  command
      ->add_option("--json", options->json,
                   "Also write everything as JSON; - writes it to standard output instead")
      ->option_text("FILE");
  command->callback([options] { run_compare(*options); });
}

}  // namespace fathom::harness
