// One sample to run and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scorers/sandbox/options.h"

namespace fathom::sandbox {

enum class Verdict {
  kPass,
  kFail,            ///< an assert of the tests failed, or the program raised SystemExit
  kCompileError,    ///< the text is no Python program
  kRuntimeError,    ///< the program raised, died, or answered outside the rules
  kTimeout,         ///< CPU, wall or idle limit
  kOom,             ///< memory limit
  kKilledByPolicy,  ///< a forbidden system call; over-use of output, files, processes or descriptors
  kSandboxError,    ///< the sandbox or the tests failed: no statement about the program, never scored
};
std::string_view verdict_name(Verdict verdict);  // "pass", "fail", "compile_error", ...

/// How the original HumanEval harness would file the verdict: "passed", "timed out" or "failed". Nothing for
/// kSandboxError, which must not be counted at all.
std::optional<std::string_view> reference_result(Verdict verdict);

/// What decides about a sample.
enum class JobKind {
  kCheck,    ///< prompt + completion + test + check(entry_point): HumanEval
  kAsserts,  ///< completion + setup + asserts: MBPP
  kProgram,  ///< runs to its end without an exception; nothing outside the program confirms that
};

struct Job {
  std::string id;  ///< returned with the result, otherwise unused
  JobKind kind = JobKind::kCheck;
  std::string prompt;      ///< kCheck: text of the data set, put before the completion
  std::string completion;  ///< what the model wrote, any bytes; kProgram: the whole program
  std::string test;        ///< kCheck: defines check(candidate)
  std::string entry_point;
  std::string setup;               ///< kAsserts
  std::vector<std::string> tests;  ///< kAsserts
  /// Instead of the limits of the run.
  std::optional<Limits> limits;
};

/// One execution of a sample.
struct Attempt {
  Verdict verdict = Verdict::kSandboxError;
  std::string detail;
  double wall_ms = 0;
  double cpu_ms = 0;  ///< program and tests, user and system
  double runner_cpu_ms = 0;
  double peak_rss_mb = 0;  ///< of the program's process; an idle interpreter has about 20
  int signal = 0;          ///< that ended the program, 0 if none did or the sandbox ended it
  int64_t calls = 0;       ///< of the program by the tests
  int64_t judge_turn = 0;  ///< 1: a fresh judge's process; n: the n-th sample of one; 0: it gave no verdict
  bool tests_compiled =
      false;        ///< for this sample; false: compiled before, for another sample of the problem
  double load = 0;  ///< one-minute load average at the start
  int cell = 0;
};

struct Result {
  std::string id;
  Verdict verdict = Verdict::kSandboxError;
  std::string detail;
  double wall_ms = 0;
  double cpu_ms = 0;
  double peak_rss_mb = 0;
  std::string standard_output;  ///< its head, kOutputHeadBytes at most, any bytes
  int64_t output_bytes = 0;     ///< how much the program wrote to standard output
  std::string standard_error;
  int signal = 0;
  /// SHA-256 of the policy that the sample ran under; a job with limits of its own has another one than the
  /// run.
  std::string policy_hash;
  /// Every execution, the deciding one last. More than one when a wall-time limit alone had ended the first.
  std::vector<Attempt> attempts;
};

/// A program may be allowed to write more than is kept.
inline constexpr int64_t kOutputHeadBytes = 1 << 20;

}  // namespace fathom::sandbox
