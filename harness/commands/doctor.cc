// `fathom doctor`: can this machine run code tasks, how strongly confined, and what does a sample cost?
//
// Nothing here is a guess: each layer is tried, each level is started with its preflight, and the cost is
// that of programs that were run.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "harness/commands.h"
#include "harness/commands/sandbox_options.h"
#include "scorers/sandbox/call_trace.h"
#include "scorers/sandbox/interpreter.h"
#include "scorers/sandbox/layer_probe.h"
#include "scorers/sandbox/sandbox.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using sandbox::Level;

constexpr int kStarts = 3;
constexpr int kWarmUpSamples = 5;
constexpr int kSamples = 50;

struct DoctorOptions {
  std::shared_ptr<SandboxArguments> sandbox = std::make_shared<SandboxArguments>();
  bool json = false;
};

// An easy problem with tests of the usual size.
const sandbox::Job& typical_job() {
  static const sandbox::Job kJob = {
      .id = "doctor",
      .kind = sandbox::JobKind::kCheck,
      .prompt =
          "from typing import List\n\n\ndef running_maximum(values: List[int]) -> List[int]:\n"
          "    \"\"\"The largest value so far, at every position.\"\"\"\n",
      .completion =
          "    largest, result = None, []\n    for value in values:\n"
          "        largest = value if largest is None else max(largest, value)\n"
          "        result.append(largest)\n    return result\n",
      .test =
          "def check(candidate):\n    assert candidate([]) == []\n    assert candidate([1, 2, 3]) == [1, 2, "
          "3]\n"
          "    assert candidate([3, 2, 1]) == [3, 3, 3]\n    assert candidate([3, 2, 7, 1]) == [3, 3, 7, 7]\n"
          "    assert candidate([-2, -5, -1]) == [-2, -2, -1]\n",
      .entry_point = "running_maximum",
      .setup = {},
      .tests = {},
      .limits = {},
  };
  return kJob;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

double rounded(double value) {
  return std::round(value * 100) / 100;
}

// One sample after the other in one cell. Throws Error{kEnvironment} when one does not pass.
json measure_samples(sandbox::Sandbox& sandbox) {
  std::vector<double> wall, cpu, runner_cpu;
  for (int i = 0; i < kWarmUpSamples + kSamples; ++i) {
    sandbox.submit(typical_job());
    const std::optional<sandbox::Result> result = sandbox.next();
    if (!result || result->verdict != sandbox::Verdict::kPass) {
      throw Error(
          ErrorKind::kEnvironment,
          fmt::format("a right program was judged {}: {}",
                      result ? verdict_name(result->verdict) : "not at all", result ? result->detail : ""),
          "sandbox");
    }
    if (i < kWarmUpSamples) continue;
    wall.push_back(result->wall_ms);
    cpu.push_back(result->cpu_ms);
    runner_cpu.push_back(result->attempts.back().runner_cpu_ms);
  }
  return {{"n", kSamples},
          {"wall_ms_p50", rounded(quantile(wall, 0.5))},
          {"wall_ms_p95", rounded(quantile(wall, 0.95))},
          {"cpu_ms_p50", rounded(quantile(cpu, 0.5))},
          {"program_cpu_ms_p50", rounded(quantile(runner_cpu, 0.5))}};
}

// Start-up with preflight, layers and, if `measure`, the cost of a sample; or the reason why there is none of
// this.
json examine_level(const sandbox::SandboxOptions& options, bool measure) {
  json found = {{"level", level_name(options.level)}, {"available", false}};
  try {
    std::vector<double> start_ms;
    for (int i = 0; i < kStarts; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      const auto sandbox = sandbox::Sandbox::start(options);
      start_ms.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
      if (i + 1 < kStarts) continue;
      const json& record = sandbox->run_record();
      found["chosen"] = record.at("level");
      found["layers"] = record.at("layers");
      found["warnings"] = record.at("warnings");
      found["policy_hash"] = record.at("policy_hash");
      if (measure) found["sample"] = measure_samples(*sandbox);
    }
    found["start_ms"] = rounded(quantile(start_ms, 0.5));
    found["available"] = true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kEnvironment) throw;
    found["reason"] = error.message();
  }
  return found;
}

json examine_python(const std::string& asked, std::optional<sandbox::Interpreter>& interpreter) {
  try {
    interpreter = sandbox::find_interpreter(asked);
  } catch (const Error& error) {
    return {{"reason", error.message()}};
  }
  json found = {{"path", interpreter->executable}, {"version", interpreter->version}};
  try {
    found["refused_calls"] = sandbox::refused_calls(*interpreter, sandbox::typical_imports());
  } catch (const Error& error) {
    found["trace"] = error.message();
  }
  return found;
}

json examine(const sandbox::SandboxOptions& asked) {
  std::optional<sandbox::Interpreter> interpreter;
  json report;
  report["python"] = examine_python(asked.python, interpreter);
  for (const sandbox::LayerFinding& layer : sandbox::probe_layers(interpreter ? &*interpreter : nullptr)) {
    report["layers"].push_back({{"layer", layer.layer}, {"present", layer.present}, {"note", layer.note}});
  }
  for (const Level level : {Level::kFull, Level::kBwrap, Level::kLandlock}) {
    sandbox::SandboxOptions options = asked;
    options.level = level;
    report["levels"].push_back(examine_level(options, false));
  }
  report["asked"] = examine_level(asked, true);
  return report;
}

void print_line(const std::string& name, const std::string& state, const std::string& note) {
  fmt::print("  {:<18} {:<9}{}{}\n", name, state, note.empty() ? "" : " ", note);
}

void print_python(const json& python) {
  if (!python.contains("path")) {
    fmt::print("python\n  {}\n\n", python.at("reason").get<std::string>());
    return;
  }
  fmt::print("python\n  {}, CPython {}\n", python.at("path").get<std::string>(),
             python.at("version").get<std::string>());
  if (python.contains("trace")) {
    fmt::print("  {}\n\n", python.at("trace").get<std::string>());
    return;
  }
  std::string names;
  for (const json& name : python.at("refused_calls")) names += " " + name.get<std::string>();
  fmt::print("  system calls of common imports that the filter refuses:{}\n\n",
             names.empty() ? " none" : names);
}

void print(const json& report) {
  print_python(report.at("python"));
  fmt::print("layers, each tried by itself\n");
  for (const json& layer : report.at("layers")) {
    print_line(layer.at("layer"), layer.at("present").get<bool>() ? "present" : "absent", layer.at("note"));
  }
  fmt::print("\nlevels, each started with its preflight, which tries to break it\n");
  for (const json& level : report.at("levels")) {
    const bool available = level.at("available").get<bool>();
    print_line(level.at("level"), available ? "available" : "refused",
               available ? fmt::format("start-up {:.0f} ms", level.at("start_ms").get<double>())
                         : level.at("reason").get<std::string>());
  }
  const json& asked = report.at("asked");
  const auto name = asked.at("level").get<std::string>();
  if (!asked.at("available").get<bool>()) {
    fmt::print("\n--sandbox={} is refused: {}\n", name, asked.at("reason").get<std::string>());
    return;
  }
  const auto chosen = asked.at("chosen").get<std::string>();
  fmt::print("\n--sandbox={}{}: start-up {:.0f} ms with preflight\n", name,
             chosen == name ? "" : " chooses " + chosen, asked.at("start_ms").get<double>());
  for (const json& warning : asked.at("warnings")) fmt::print("  without {}\n", warning.get<std::string>());
  const json& sample = asked.at("sample");
  fmt::print(
      "  one sample: {} ms wall (95 % within {} ms), {} ms of CPU time, {} ms of it the program's; {} "
      "samples\n",
      sample.at("wall_ms_p50").dump(), sample.at("wall_ms_p95").dump(), sample.at("cpu_ms_p50").dump(),
      sample.at("program_cpu_ms_p50").dump(), sample.at("n").dump());
  fmt::print("  policy {}\n", asked.at("policy_hash").get<std::string>());
}

}  // namespace

void add_doctor(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand(
      "doctor",
      "Say whether this machine can run code tasks: the interpreter, each layer of the sandbox and why it "
      "is\n"
      "missing, the level that --sandbox chooses, and what start-up and one sample cost, measured now.\n"
      "Exit code 5 when the level asked for is refused.\n"
      "Example: fathom doctor --sandbox full");
  command->add_flag("--json", options->json, "one JSON object instead of text");
  add_sandbox_options(*command, options->sandbox);
  command->callback([options, &context] {
    const json report = examine(options->sandbox->options());
    if (options->json) {
      fmt::print("{}\n", report.dump(2, ' ', false, json::error_handler_t::replace));
    } else {
      print(report);
    }
    context.exit_code = report.at("asked").at("available").get<bool>() ? kExitDone : kExitEnvironment;
  });
}

}  // namespace fathom::harness
