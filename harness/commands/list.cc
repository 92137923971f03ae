// `fathom list runs --db FILE`, `fathom list benchmarks --db FILE` and `fathom list tasks`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json_lines.h"
#include "base/sha256.h"
#include "harness/commands.h"
#include "harness/text_table.h"
#include "results/bench.h"
#include "results/runs.h"
#include "results/schema.h"
#include "tasks/registry.h"

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

std::string words(const std::string& command_json) {
  return fmt::format("fathom {}",
                     fmt::join(nlohmann::json::parse(command_json).get<std::vector<std::string>>(), " "));
}

void print_table(const std::vector<results::StoredBench>& benches) {
  for (const auto& [number, bench] : benches) {
    const nlohmann::json context = nlohmann::json::parse(bench.context_json);
    fmt::print("benchmark {}, {} UTC: {}\n", number, format_utc(bench.created_us), words(bench.command_json));
    const std::string machine = context.contains("device")
                                    ? context["device"].get<std::string>()
                                    : fmt::format("{}, {} threads", context.at("cpu").get<std::string>(),
                                                  context.at("threads").get<int>());
    fmt::print("  fathom {} at {}{}; {}: {:.1f} GFLOP/s fp32 FMA, {:.1f} GB/s read\n", bench.build.version,
               bench.build.git_commit, bench.build.git_dirty ? " with changes" : "", machine,
               context.at("fma_flop_per_second").get<double>() / 1e9,
               context.at("read_bytes_per_second").get<double>() / 1e9);
    TextTable table("lrll", {"", "median", "unit", "share"});
    for (const results::BenchFigureRecord& f : bench.figures) {
      table.add({f.name, fmt::format("{:.2f}", f.rate), f.unit,
                 f.share ? fmt::format("{:.1f} % of {}", 100 * *f.share, f.share_of) : ""});
    }
    fmt::print("{}\n", table.text("  "));
  }
}

void print_json(const std::vector<results::StoredBench>& benches) {
  JsonLinesWriter writer("-");
  for (const auto& [number, bench] : benches) {
    nlohmann::json entries = nlohmann::json::array();
    for (const results::BenchFigureRecord& f : bench.figures) {
      for (nlohmann::json& entry : nlohmann::json::parse(f.repeats_json)) entries.push_back(std::move(entry));
    }
    writer.write({{"benchmark", number},
                  {"created", format_utc(bench.created_us)},
                  {"command", nlohmann::json::parse(bench.command_json)},
                  {"git_commit", bench.build.git_commit},
                  {"machine", nlohmann::json::parse(bench.machine_json)},
                  {"context", nlohmann::json::parse(bench.context_json)},
                  {"benchmarks", std::move(entries)}});
  }
}

void add_list_benchmarks(CLI::App& list) {
  auto options = std::make_shared<ListRunsOptions>();
  CLI::App* command = list.add_subcommand("benchmarks",
                                          "List what `fathom bench --store` kept, newest first\n"
                                          "Example: fathom list benchmarks --db results.db");
  command->add_option("--db", options->db, "Results database")->required();
  command->add_flag("--json", options->json, "One JSON object a line, in Google Benchmark's layout");
  command->callback([options] {
    const auto benches = results::list_benches(results::open_for_reading(options->db));
    options->json ? print_json(benches) : print_table(benches);
  });
}

struct ListTasksOptions {
  bool members = false;
  bool json = false;
};

// What one line of the table is about: a task that stands alone, or the tasks of one group, which differ in
// their subject only.
struct TaskLine {
  std::string name;
  std::string description;
  std::vector<const tasks::Task*> tasks;
};

std::vector<TaskLine> task_lines(const ListTasksOptions& options) {
  std::vector<TaskLine> lines;
  for (const tasks::Task& task : tasks::all_tasks()) {
    if (options.members || task.group.empty()) {
      lines.push_back({task.name, task.description, {&task}});
    } else if (lines.empty() || lines.back().name != task.group) {
      lines.push_back({task.group, tasks::find_group(task.group).description, {&task}});
    } else {
      lines.back().tasks.push_back(&task);
    }
  }
  return lines;
}

// The hash of one task's prompts; of several, the hash of theirs in hexadecimal, each followed by LF.
std::string template_hash(const TaskLine& line) {
  if (line.tasks.size() == 1) return to_hex(tasks::template_sha256(*line.tasks[0]));
  std::string hashes;
  for (const tasks::Task* task : line.tasks) hashes += to_hex(tasks::template_sha256(*task)) + "\n";
  return to_hex(sha256(hashes));
}

void print_table(const std::vector<TaskLine>& lines) {
  constexpr size_t kHashDigits = 12;
  size_t width = 0;
  for (const TaskLine& line : lines) width = std::max(width, line.name.size());
  fmt::print("{:<{}}  {:<7}  {:<8}  {:>5}  {:>5}  {:<12}  {}\n", "task", width, "version", "kind", "tasks",
             "shots", "prompts", "what it is");
  for (const TaskLine& line : lines) {
    const tasks::Task& first = *line.tasks[0];
    fmt::print("{:<{}}  {:<7}  {:<8}  {:>5}  {:>5}  {:<12}  {}\n", line.name, width, first.version,
               tasks::task_kind_name(first.kind), line.tasks.size(), first.num_fewshot,
               template_hash(line).substr(0, kHashDigits), line.description);
  }
}

void print_json(const std::vector<TaskLine>& lines) {
  JsonLinesWriter writer("-");
  for (const TaskLine& line : lines) {
    nlohmann::json members = nlohmann::json::array();
    for (const tasks::Task* task : line.tasks) members.push_back(task->name);
    const tasks::Task& first = *line.tasks[0];
    nlohmann::json metrics = nlohmann::json::array();
    for (const tasks::Metric& metric : first.metrics) {
      if (!first.pass_at_k.empty()) break;  // pass@k stand for the metric of one answer
      metrics.push_back(metric.filter == "none" ? metric.name : metric.name + "," + metric.filter);
    }
    for (int64_t k : first.pass_at_k) metrics.push_back(fmt::format("pass@{}", k));
    writer.write({{"task", line.name},
                  {"version", first.version},
                  {"kind", tasks::task_kind_name(first.kind)},
                  {"description", line.description},
                  {"members", members},
                  {"num_fewshot", first.num_fewshot},
                  {"dataset", first.dataset},
                  {"metrics", metrics},
                  {"template_sha256", template_hash(line)}});
  }
}

void add_list_tasks(CLI::App& list) {
  auto options = std::make_shared<ListTasksOptions>();
  CLI::App* command =
      list.add_subcommand("tasks",
                          "List what can be asked: version, kind, number of few-shot examples and a "
                          "hash of the prompts\n"
                          "Example: fathom list tasks --members");
  command->add_flag("--members", options->members, "Also the members of groups, the subjects of MMLU");
  command->add_flag("--json", options->json, "One JSON object a line, with the whole hash");
  command->callback([options] {
    const std::vector<TaskLine> lines = task_lines(*options);
    options->json ? print_json(lines) : print_table(lines);
  });
}

}  // namespace

void add_list(CLI::App& app, CommandContext&) {
  CLI::App* list = app.add_subcommand("list",
                                      "List what there is\n"
                                      "Example: fathom list tasks");
  list->require_subcommand(1);
  add_list_runs(*list);
  add_list_benchmarks(*list);
  add_list_tasks(*list);
}

}  // namespace fathom::harness
