// `fathom db check|prune|merge|snapshot|migrate`: looking after a results database.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "harness/commands.h"
#include "harness/version.h"
#include "results/check.h"
#include "results/merge.h"
#include "results/prune.h"
#include "results/schema.h"
#include "results/snapshot.h"
#include "results/store.h"

namespace fathom::harness {
namespace {

using std::filesystem::path;

constexpr int64_t kDayUs = int64_t{24} * 3600 * 1'000'000;

// The file must be there: `fathom run` makes databases, these commands look after them.
results::Store open_existing(const path& file) {
  results::open_for_copying(file);
  return results::Store::open_for_writing(file, version_number());
}

void add_check(CLI::App& db, CommandContext& context) {
  CLI::App* command =
      db.add_subcommand("check",
                        "Check a database: the file, its hashes, complete runs, counters, metrics\n"
                        "Exit code 0: sound; 3: the problems are printed.\n"
                        "Example: fathom db check results.db");
  auto file = std::make_shared<path>();
  command->add_option("FILE", *file, "Results database")->required();
  command->callback([file, &context] {
    const results::CheckReport report = results::check_database(results::open_for_reading(*file));
    for (const std::string& problem : report.problems) fmt::print("{}\n", problem);
    if (report.problems.empty()) {
      fmt::print("{}: sound: {} runs, {} samples\n", file->string(), report.n_runs, report.n_samples);
    } else {
      context.exit_code = kExitBadInput;
    }
  });
}

struct PruneOptions {
  path file;
  std::vector<std::string> runs;
  double older_than_days = 0.0;
  bool incomplete = false;
  bool dry_run = false;
};

std::string line_of(const results::RunInfo& run) {
  return fmt::format("run {}: {}, {} of {} samples, {} UTC, {}{}", run.run_id,
                     results::run_status_name(run.status), run.n_stored, run.n_planned,
                     format_utc(run.created_us), run.model, run.name.empty() ? "" : ", " + run.name);
}

std::string mebibytes(int64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

void run_prune(const PruneOptions& options) {
  results::Store store = open_existing(options.file);
  results::PruneChoice choice{.run_ids = {}, .created_before_us = {}, .only_incomplete = options.incomplete};
  for (const std::string& run : options.runs)
    choice.run_ids.push_back(results::find_run(store.database(), run));
  if (options.older_than_days > 0) {
    choice.created_before_us = unix_time_us() - static_cast<int64_t>(options.older_than_days * kDayUs);
  }
  const results::PrunePlan plan = results::plan_prune(store.database(), choice);
  for (const std::string& kept : plan.kept) fmt::print("kept: {}\n", kept);
  for (const results::RunInfo& run : plan.runs) {
    fmt::print("{}: {}\n", options.dry_run ? "would delete" : "deleting", line_of(run));
  }
  if (options.dry_run) {
    fmt::print("{} runs would be deleted; nothing was changed (--dry-run)\n", plan.runs.size());
    return;
  }
  const results::PruneResult result = results::prune(store.database(), plan);
  fmt::print("{} runs deleted; {} before, {} now\n", plan.runs.size(), mebibytes(result.bytes_before),
             mebibytes(result.bytes_after));
}

void add_prune(CLI::App& db) {
  CLI::App* command =
      db.add_subcommand("prune",
                        "Delete runs, and what only they used, for good; then give the space back\n"
                        "The named runs, and those that meet both --older-than and --incomplete where both "
                        "are given. Baselines stay.\n"
                        "Examples: fathom db prune results.db --incomplete --older-than 30 --dry-run\n"
                        "          fathom db prune results.db 7 9");
  auto options = std::make_shared<PruneOptions>();
  command->add_option("FILE", options->file, "Results database")->required();
  command->add_option("RUN", options->runs, "Runs to delete: numbers or UUIDs");
  command->add_option("--older-than", options->older_than_days, "Runs that began more than so many days ago")
      ->check(CLI::PositiveNumber)
      ->option_text("DAYS");
  command->add_flag("--incomplete", options->incomplete, "Runs that did not get to their end");
  command->add_flag("--dry-run", options->dry_run, "Only print what would be deleted");
  command->callback([options] { run_prune(*options); });
}

const char* what_happened(results::MergedRun::What what) {
  switch (what) {
    case results::MergedRun::What::kAdded:
      return "added";
    case results::MergedRun::What::kContinued:
      return "continued: more answers than were here";
    case results::MergedRun::What::kPresent:
      return "here already";
    case results::MergedRun::What::kRunning:
      return "left out: it is still running";
  }
  FATHOM_CHECK(false, "{}", static_cast<int>(what));
}

void add_merge(CLI::App& db) {
  CLI::App* command =
      db.add_subcommand("merge",
                        "Take the runs of other databases into the first\n"
                        "A run is known by its UUID: merging again changes nothing. Baselines are not "
                        "taken over.\n"
                        "Example: fathom db merge results.db node1.db node2.db");
  auto into = std::make_shared<path>();
  auto from = std::make_shared<std::vector<path>>();
  command->add_option("INTO", *into, "Results database that gets the runs")->required();
  command->add_option("FROM", *from, "Results databases that are read and not changed")->required();
  command->callback([into, from] {
    results::Store store = open_existing(*into);
    for (const path& file : *from) {
      for (const results::MergedRun& run : results::merge_runs(store.database(), file, version_number())) {
        const bool is_here = run.what != results::MergedRun::What::kRunning;
        fmt::print("{} run {} ({}): {}{}\n", file.string(), run.their_id, run.uuid,
                   is_here ? fmt::format("run {}, ", run.run_id) : "", what_happened(run.what));
      }
    }
  });
}

void add_snapshot(CLI::App& db) {
  CLI::App* command = db.add_subcommand("snapshot",
                                        "Copy a database, consistently even while a run writes to it\n"
                                        "The copy is one plain file that any SQLite program may open.\n"
                                        "Example: fathom db snapshot results.db copy.db");
  auto file = std::make_shared<path>();
  auto out = std::make_shared<path>();
  auto force = std::make_shared<bool>(false);
  command->add_option("FILE", *file, "Results database")->required();
  command->add_option("OUT", *out, "File to write")->required();
  command->add_flag("--force", *force, "Replace OUT if it is a results database already");
  command->callback([file, out, force] {
    results::snapshot(*file, *out, *force ? results::Existing::kReplace : results::Existing::kKeep);
    fmt::print("{}: {}\n", out->string(), mebibytes(static_cast<int64_t>(std::filesystem::file_size(*out))));
  });
}

void add_migrate(CLI::App& db) {
  CLI::App* command = db.add_subcommand("migrate",
                                        "Bring a database of an older fathom up to date, as a run would\n"
                                        "The file as it was stays beside it as FILE.bak-vN.\n"
                                        "Example: fathom db migrate results.db");
  auto file = std::make_shared<path>();
  command->add_option("FILE", *file, "Results database")->required();
  command->callback([file] {
    open_existing(*file);
    fmt::print("{}: schema {}\n", file->string(), results::kSchemaVersion);
  });
}

}  // namespace

void add_db(CLI::App& app, CommandContext& context) {
  CLI::App* db = app.add_subcommand("db",
                                    "Look after a results database: check, copy, merge, delete runs\n"
                                    "Example: fathom db check results.db");
  db->require_subcommand(1);
  add_check(*db, context);
  add_merge(*db);
  add_migrate(*db);
  add_prune(*db);
  add_snapshot(*db);
}

}  // namespace fathom::harness
