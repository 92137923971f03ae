// fathom data list | fetch | import | verify
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json_lines.h"
#include "harness/args.h"
#include "harness/commands.h"
#include "harness/data/cache.h"
#include "harness/data/fetch.h"
#include "harness/data/registry.h"
#include "harness/data/resolve.h"

namespace fathom::harness {
namespace {

DatasetCache user_cache() {
  return DatasetCache(user_data_folder());
}

int64_t known_bytes(const Dataset& set) {
  int64_t bytes = 0;
  for (const DataFile& file : set.files) bytes += std::max<int64_t>(file.bytes, 0);
  return bytes;
}

std::string size_text(int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  return size < 1e6 ? fmt::format("{:.1f} KB", size / 1e3) : fmt::format("{:.1f} MB", size / 1e6);
}

std::string files_text(size_t n) {
  return fmt::format("{} {}", n, n == 1 ? "file" : "files");
}

bool is_pinned(const Dataset& set) {
  return std::none_of(set.files.begin(), set.files.end(),
                      [](const DataFile& file) { return file.sha256.empty(); });
}

std::vector<const Dataset*> sets_named(const std::vector<std::string>& names) {
  std::vector<const Dataset*> sets;
  for (const std::string& name : names) sets.push_back(&find_dataset(name));
  return sets;
}

std::vector<const Dataset*> every_set() {
  std::vector<const Dataset*> sets;
  for (const Dataset& set : all_datasets()) sets.push_back(&set);
  return sets;
}

void list_as_json(const DatasetCache& cache) {
  JsonLinesWriter out("-");
  for (const Dataset& set : all_datasets()) {
    const DatasetState state = cache.state(set);
    out.write({{"name", set.name},
               {"title", set.title},
               {"licence", set.licence},
               {"rows", set.rows},
               {"files", set.files.size()},
               {"bytes", known_bytes(set)},
               {"pinned", is_pinned(set)},
               {"source", set.source},
               {"state", dataset_state_name(state)},
               {"where", state == DatasetState::kAbsent ? nlohmann::json()
                                                        : nlohmann::json(cache.folder(set).string())}});
  }
}

void list_as_table(const DatasetCache& cache) {
  fmt::print("{:<11} {:<8} {:<25} {:>8}  {:<8} {}\n", "NAME", "LICENCE", "ROWS", "SIZE", "STATE", "WHERE");
  for (const Dataset& set : all_datasets()) {
    const DatasetState state = cache.state(set);
    const std::string where =
        state == DatasetState::kAbsent ? "fathom data fetch " + set.name : cache.folder(set).string();
    fmt::print("{:<11} {:<8} {:<25} {:>8}  {:<8} {}\n", set.name, set.licence, set.rows,
               size_text(known_bytes(set)), dataset_state_name(state), where);
  }
}

void add_list(CLI::App& data) {
  CLI::App* command = data.add_subcommand("list", "Show every data set, and whether it is on this machine");
  command->footer("Example: fathom data list --json");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "One JSON object a line");
  command->callback([json] { *json ? list_as_json(user_cache()) : list_as_table(user_cache()); });
}

void report(const DatasetCache& cache, const Dataset& set, InstallResult result) {
  const std::string folder = cache.folder(set).string();
  if (result == InstallResult::kAlreadyThere) {
    fmt::print("{}: already in {}; {} checked by SHA-256\n", set.name, folder, files_text(set.files.size()));
    return;
  }
  fmt::print("{}: {} in {}, {}\n", set.name, files_text(set.files.size()), folder,
             is_pinned(set)
                 ? "checked by SHA-256"
                 : "SHA-256 recorded (no hash of this set is known beforehand; later copies must match)");
}

InstallResult fetch(const DatasetCache& cache, const Dataset& set, const FetchOptions& options) {
  try {
    return fetch_dataset(cache, set, options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kEnvironment) throw;
    throw Error(
        error.kind(),
        error.message() + "; try again, or --source with a mirror, or \"fathom data import DIR\" from a copy",
        error.where());
  }
}

void add_fetch(CLI::App& data) {
  struct Options {
    std::vector<std::string> names;
    FetchOptions fetch;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      data.add_subcommand("fetch", "Download data sets from their official source over HTTPS");
  command->footer(
      "Every file is checked by SHA-256 before it is kept.\n"
      "Example: fathom data fetch mmlu gsm8k humaneval");
  command->add_option("NAME", options->names, "Data sets, as fathom data list shows them")->required();
  command->add_option("--source", options->fetch.source, "https URL of a mirror's folder, for one NAME");
  command
      ->add_option("--ca-file", options->fetch.ca_file,
                   "PEM file to trust instead of the system's authorities")
      ->check(CLI::ExistingFile);
  command->add_option("--timeout", options->fetch.stall_s, "Seconds without progress before giving up")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  command->callback([options] {
    if (!options->fetch.source.empty() && options->names.size() > 1) {
      throw Error(ErrorKind::kUsage, "--source belongs to one data set; name only one");
    }
    const DatasetCache cache = user_cache();
    for (const Dataset* set : sets_named(options->names))
      report(cache, *set, fetch(cache, *set, options->fetch));
  });
}

void import_sets(const std::filesystem::path& folder, const std::vector<const Dataset*>& wanted) {
  const DatasetCache cache = user_cache();
  int n_found = 0;
  for (const Dataset* set : wanted) {
    const auto copy = find_local_copy(*set, folder);
    if (!copy) continue;
    report(cache, *set, import_dataset(cache, *set, *copy));
    ++n_found;
  }
  if (n_found > 0) return;
  std::vector<std::string> names;
  for (const Dataset* set : wanted) names.push_back(set->name + " (" + set->files[0].path + ", ...)");
  bad_input(folder.string(), "no data set is here; looked for {}", fmt::join(names, ", "));
}

void add_import(CLI::App& data) {
  struct Options {
    std::string folder;
    std::vector<std::string> names;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = data.add_subcommand("import", "Copy data sets from a local folder");
  command->footer(
      "DIR holds one folder a data set (mmlu/, gsm8k/, humaneval/), or is the folder of one, or an unpacked "
      "copy of\n"
      "its source. Every file is checked by SHA-256 before it is kept.\n"
      "Example: fathom data import ~/Downloads/data mmlu");
  command->add_option("DIR", options->folder, "Folder with the data")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_option("NAME", options->names, "Data sets to take; all that are found when none is named");
  command->callback([options] {
    if (options->names.empty()) return import_sets(options->folder, every_set());
    for (const Dataset* set : sets_named(options->names)) import_sets(options->folder, {set});
  });
}

bool verify_set(const Dataset& set, const std::filesystem::path& folder,
                const std::vector<FileProblem>& problems) {
  if (problems.empty()) {
    fmt::print("{}: ok, {} in {} checked by SHA-256\n", set.name, files_text(set.files.size()),
               folder.string());
    return true;
  }
  for (const FileProblem& problem : problems) fmt::print("{}: {} {}\n", set.name, problem.path, problem.what);
  fmt::print("{}: {} of {} files in {} are wrong\n", set.name, problems.size(), set.files.size(),
             folder.string());
  return false;
}

bool verify_sets(std::vector<const Dataset*> sets, const std::filesystem::path& data_option) {
  const DatasetCache cache = user_cache();
  const bool every_present_one = sets.empty();
  if (every_present_one) sets = every_set();
  int n_checked = 0;
  bool all_ok = true;
  for (const Dataset* set : sets) {
    if (!data_option.empty()) {
      const auto folder = find_local_copy(*set, data_option);
      if (every_present_one && !folder) continue;
      if (!folder) bad_input(data_option.string(), "the data set {} is not here", set->name);
      all_ok = verify_set(*set, *folder, check_files(*folder, set->files)) && all_ok;
    } else {
      if (every_present_one && cache.state(*set) == DatasetState::kAbsent) continue;
      all_ok = verify_set(*set, cache.folder(*set), cache.verify(*set)) && all_ok;
    }
    ++n_checked;
  }
  if (n_checked == 0) {
    fmt::print("no data set is on this machine; fathom data fetch gets one\n");
  }
  return all_ok;
}

void add_verify(CLI::App& data, CommandContext& context) {
  struct Options {
    std::vector<std::string> names;
    std::string data_folder;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = data.add_subcommand("verify", "Hash data sets again; exit code 3 when a file is wrong");
  command->footer("Example: fathom data verify mmlu");
  command->add_option("NAME", options->names, "Data sets; all that are here when none is named");
  command->add_option("--data", options->data_folder, "Look in this folder instead of the cache")
      ->check(CLI::ExistingDirectory);
  command->callback([options, &context] {
    if (!verify_sets(sets_named(options->names), options->data_folder)) context.exit_code = kExitBadInput;
  });
}

}  // namespace

void add_data(CLI::App& app, CommandContext& context) {
  CLI::App* data = app.add_subcommand("data", "List, download, import and verify data sets");
  data->require_subcommand(1);
  data->footer("Data sets are kept in $XDG_DATA_HOME/fathom, or ~/.local/share/fathom.");
  add_list(*data);
  add_fetch(*data);
  add_import(*data);
  add_verify(*data, context);
}

}  // namespace fathom::harness
