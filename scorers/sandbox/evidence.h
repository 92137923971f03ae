// From what was observed about one execution to its verdict. Pure: no clock, no process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scorers/sandbox/job.h"
#include "scorers/sandbox/options.h"

namespace fathom::sandbox {

/// What the judge said. Everything but `outcome` is text for people, or about the program's own exception.
struct JudgeOutcome {
  std::string outcome;  ///< "pass", "assert", "raise", "load", "gone", "bad_reply", "exit", "memory", "tests"
  std::string stage;    ///< of "load": "compile" or "run"
  std::vector<std::string> classes;  ///< of the exception, most derived first
  std::string message;
  int error_number = 0;
  int line = 0;       ///< of the program
  std::string where;  ///< of the tests
  int64_t calls = 0;
  int64_t turn = 0;       ///< 1: the first sample of the judge's process
  bool compiled = false;  ///< the tests, for this sample
};
/// Nothing when the text is not what python/judge.py writes.
std::optional<JudgeOutcome> parse_judge_outcome(std::string_view text);

/// The supervisor's reason to end a sample.
enum class StoppedBy { kNobody, kCpu, kWall, kIdle, kOutput };

struct Evidence {
  /// The sandbox itself failed: a layer, a zygote, a child that could not be confined. Empty when it did not.
  std::string sandbox_failure;
  std::optional<JudgeOutcome> judge;
  int judge_status = 0;        ///< as from wait4
  int runner_status = 0;       ///< as from wait4
  bool runner_killed = false;  ///< by the supervisor, so that its status says nothing about the program
  StoppedBy stopped_by = StoppedBy::kNobody;
  int64_t runner_flags = 0;  ///< Report::flags
  bool memory_kill = false;  ///< the kernel killed a process of the runner's group for its memory limit
  double wall_ms = 0;
  double cpu_ms = 0;  ///< of both sides
  double judge_cpu_ms = 0;
  double peak_rss_mb = 0;
  int64_t output_bytes = 0;  ///< the larger of both streams
};

struct Decision {
  Verdict verdict = Verdict::kSandboxError;
  std::string detail;
  int signal = 0;  ///< that ended the program by itself
};

/// The table of docs/sandbox.md, first match.
Decision decide(const Evidence& evidence, const Limits& limits, Timing timing);

/// A time-out that only the clock on the wall decided and that a loaded machine could have caused.
bool deserves_another_run(const Evidence& evidence, const Decision& decision, const Limits& limits,
                          Timing timing);

}  // namespace fathom::sandbox
