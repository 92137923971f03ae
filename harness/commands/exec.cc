// `fathom exec`: JSON Lines of programs in, JSON Lines of verdicts out, in the order of the input.
//
// One thread reads and submits, the main one takes results and writes every line as soon as all earlier ones
// are written; so the command also serves as a worker that is fed line by line.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/base64.h"
#include "base/error.h"
#include "base/json_lines.h"
#include "base/utf8.h"
#include "harness/commands.h"
#include "harness/commands/sandbox_options.h"
#include "scorers/sandbox/sandbox.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using sandbox::Job;
using sandbox::JobKind;
using sandbox::Limits;
using sandbox::Result;

struct ExecOptions {
  std::string input = "-";
  std::string output = "-";
  std::shared_ptr<SandboxArguments> sandbox = std::make_shared<SandboxArguments>();
};

std::string get_text(const json& line, const char* key, const std::string& where) {
  const auto found = line.find(key);
  if (found == line.end()) bad_input(where, "key \"{}\" is missing", key);
  if (!found->is_string()) bad_input(where, "key \"{}\" must be a string, found {}", key, found->type_name());
  return found->get<std::string>();
}

// The model's text: "completion" (or "program"), or its bytes in "completion_base64".
std::string get_completion(const json& line, const char* key, const std::string& where) {
  if (!line.contains("completion_base64")) return get_text(line, key, where);
  if (line.contains(key)) bad_input(where, "keys \"{}\" and \"completion_base64\" exclude each other", key);
  auto bytes = decode_base64(get_text(line, "completion_base64", where));
  if (!bytes) bad_input(where, "key \"completion_base64\" is no base64 (RFC 4648, padded, one line)");
  return *std::move(bytes);
}

Limits get_limits(const json& given, const sandbox::SandboxOptions& options, const std::string& where) {
  if (!given.is_object()) bad_input(where, "key \"limits\" must be an object, found {}", given.type_name());
  require_known_keys(given, {"cpu_s", "wall_s", "memory_mb", "tmp_mb", "processes", "output_bytes"},
                     where + ": limits");
  Limits limits = options.limits;
  const auto set = [&](const char* key, auto& limit) {
    const auto found = given.find(key);
    if (found == given.end()) return;
    const bool whole = std::is_integral_v<std::remove_reference_t<decltype(limit)>>;
    if (whole ? !found->is_number_integer() : !found->is_number()) {
      bad_input(where, "limit \"{}\" must be {}, found {}", key, whole ? "a whole number" : "a number",
                found->dump());
    }
    found->get_to(limit);
  };
  set("cpu_s", limits.cpu_s);
  set("memory_mb", limits.memory_mb);
  set("tmp_mb", limits.tmp_mb);
  set("processes", limits.processes);
  set("output_bytes", limits.output_bytes);
  if (given.contains("cpu_s")) {
    const bool reference = options.timing == sandbox::Timing::kReference;
    limits.wall_s = reference ? limits.cpu_s : std::max(limits.wall_s, wall_limit_for(limits.cpu_s));
  }
  set("wall_s", limits.wall_s);
  sandbox::check_limits(limits, where);
  return limits;
}

Job parse_job(const json& line, const sandbox::SandboxOptions& options, const std::string& where) {
  const auto id = line.find("id");
  if (id == line.end()) bad_input(where, "key \"id\" is missing");
  if (!id->is_string() && !id->is_number_integer())
    bad_input(where, "key \"id\" must be a string or a whole number");
  Job job;
  if (line.contains("test")) {
    require_known_keys(
        line, {"id", "prompt", "completion", "completion_base64", "test", "entry_point", "limits"}, where);
    job.kind = JobKind::kCheck;
    job.prompt = get_text(line, "prompt", where);
    job.test = get_text(line, "test", where);
    job.entry_point = get_text(line, "entry_point", where);
    if (job.entry_point.empty()) bad_input(where, "key \"entry_point\" is empty");
    job.completion = get_completion(line, "completion", where);
  } else if (line.contains("tests")) {
    require_known_keys(line, {"id", "completion", "completion_base64", "setup", "tests", "limits"}, where);
    job.kind = JobKind::kAsserts;
    job.setup = line.contains("setup") ? get_text(line, "setup", where) : "";
    const json& tests = line.at("tests");
    if (!tests.is_array() || tests.empty())
      bad_input(where, "key \"tests\" must be an array of at least one assert");
    for (const json& test : tests) {
      if (!test.is_string()) bad_input(where, "key \"tests\" must hold strings, found {}", test.type_name());
      job.tests.push_back(test.get<std::string>());
    }
    job.completion = get_completion(line, "completion", where);
  } else {
    require_known_keys(line, {"id", "program", "completion_base64", "limits"}, where);
    job.kind = JobKind::kProgram;
    job.completion = get_completion(line, "program", where);
  }
  if (line.contains("limits")) job.limits = get_limits(line.at("limits"), options, where);
  return job;
}

double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

json attempt_json(const sandbox::Attempt& attempt) {
  return {{"verdict", verdict_name(attempt.verdict)},    {"detail", attempt.detail},
          {"wall_ms", rounded(attempt.wall_ms)},         {"cpu_ms", rounded(attempt.cpu_ms)},
          {"peak_rss_mb", rounded(attempt.peak_rss_mb)}, {"load", rounded(attempt.load)}};
}

json result_json(const json& id, const Result& result, const json& run_record) {
  json line = {{"id", id},
               {"verdict", verdict_name(result.verdict)},
               {"detail", result.detail},
               {"wall_ms", rounded(result.wall_ms)},
               {"cpu_ms", rounded(result.cpu_ms)},
               {"peak_rss_mb", rounded(result.peak_rss_mb)},
               {"stdout", backslash_invalid_utf8(result.standard_output)},
               {"stdout_bytes", result.output_bytes},
               {"stderr", backslash_invalid_utf8(result.standard_error)},
               {"signal", result.signal == 0 ? json() : json(result.signal)},
               {"policy",
                {{"hash", result.policy_hash},
                 {"level", run_record.at("level")},
                 {"layers", run_record.at("layers")}}}};
  if (result.attempts.size() > 1) {
    for (const sandbox::Attempt& attempt : result.attempts) line["attempts"].push_back(attempt_json(attempt));
  }
  return line;
}

// Lines that were read and not yet answered. The reader waits while there are too many, so that memory stays
// bounded however long the input is; second runs then get their turn, too.
class Window {
 public:
  int64_t add(json id) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return ids_.size() < kLargest; });
    ids_.emplace(n_added_, std::move(id));
    return n_added_++;
  }
  json take(int64_t number) {
    const std::lock_guard lock(mutex_);
    json id = std::move(ids_.at(number));
    ids_.erase(number);
    room_.notify_one();
    return id;
  }

 private:
  static constexpr size_t kLargest = 1024;
  std::mutex mutex_;
  std::condition_variable room_;
  std::map<int64_t, json> ids_;
  int64_t n_added_ = 0;
};

class Exec {
 public:
  explicit Exec(const ExecOptions& options)
      : options_(options.sandbox->options()),
        reader_(options.input),
        sandbox_(sandbox::Sandbox::start(options_)),
        writer_(options.output) {}

  /// Exit code.
  int run() {
    std::thread reading([this] { read(); });
    try {
      write();
    } catch (const Error& error) {
      // The reader may wait for a line that never comes, and cannot be interrupted there.
      fmt::print(stderr, "fathom: error: {}\n", error.what());
      std::fflush(nullptr);
      std::_Exit(error.exit_code());
    }
    reading.join();
    summarise();
    if (read_failure_) std::rethrow_exception(read_failure_);
    return counts_.contains(sandbox::Verdict::kSandboxError) ? kExitUnscored : kExitDone;
  }

 private:
  void read() {
    try {
      while (const auto line = reader_.next()) {
        Job job = parse_job(*line, options_, reader_.where());
        job.id = std::to_string(window_.add(line->at("id")));
        sandbox_->submit(job);
      }
    } catch (...) {
      read_failure_ = std::current_exception();
    }
    sandbox_->close();
  }

  void write() {
    std::map<int64_t, Result> early;
    int64_t next = 0;
    while (auto result = sandbox_->next()) {
      const int64_t number = std::stoll(result->id);
      early.emplace(number, *std::move(result));
      for (auto found = early.find(next); found != early.end(); found = early.find(++next)) {
        const Result& due = found->second;
        ++counts_[due.verdict];
        n_second_runs_ += static_cast<int64_t>(due.attempts.size()) - 1;
        writer_.write(result_json(window_.take(next), due, sandbox_->run_record()));
        early.erase(found);
      }
    }
  }

  void summarise() const {
    std::string text;
    for (const auto& [verdict, count] : counts_) text += fmt::format(" {} {},", count, verdict_name(verdict));
    fmt::print(stderr, "fathom: exec:{} {} run twice; level {}\n", text.empty() ? " no samples," : text,
               n_second_runs_, sandbox_->level());
    for (const json& warning : sandbox_->run_record().at("warnings")) {
      fmt::print(stderr, "fathom: exec: without {}\n", warning.get<std::string>());
    }
  }

  sandbox::SandboxOptions options_;
  JsonLinesReader reader_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  JsonLinesWriter writer_;
  Window window_;
  std::exception_ptr read_failure_;
  std::map<sandbox::Verdict, int64_t> counts_;
  int64_t n_second_runs_ = 0;
};

}  // namespace

void add_exec(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ExecOptions>();
  CLI::App* command = app.add_subcommand(
      "exec",
      "Run programs that a model wrote in the sandbox and print a verdict for each line of input.\n"
      "A line is {\"id\",\"program\"}, {\"id\",\"prompt\",\"completion\",\"test\",\"entry_point\"} or\n"
      "{\"id\",\"completion\",\"setup\",\"tests\"}, each with optional \"limits\" and "
      "\"completion_base64\".\n"
      "Example: fathom exec --input samples.jsonl --output verdicts.jsonl");
  command->add_option("--input", options->input, "JSON Lines, - for standard input")->capture_default_str();
  command->add_option("--output", options->output, "JSON Lines, - for standard output")
      ->capture_default_str();
  add_sandbox_options(*command, options->sandbox);
  command->callback([options, &context] { context.exit_code = Exec(*options).run(); });
}

}  // namespace fathom::harness
