// What can be asked of the sandbox: level, timing rule, limits.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace fathom::sandbox {

/// How strongly a program is confined. docs/sandbox.md lists the layers of each level.
enum class Level {
  kAuto,      ///< kFull where the machine offers it, else kBwrap, else an error
  kFull,      ///< own namespaces and private root, seccomp, no capabilities, limits, Landlock where there
  kBwrap,     ///< the same through the bubblewrap program
  kLandlock,  ///< no namespaces: Landlock, seccomp and limits
  kNone,      ///< limits only
};
std::string_view level_name(Level level);
/// Throws Error{kUsage} for a word that is no level.
Level parse_level(std::string_view word);

enum class Timing {
  kDefault,    ///< CPU time decides; wall time and lack of progress catch sleepers and are checked once more
               ///< alone
  kReference,  ///< wall time of the whole program decides, as in the original HumanEval harness
};
std::string_view timing_name(Timing timing);
/// Throws Error{kUsage} for a word that is no timing rule.
Timing parse_timing(std::string_view word);

/// The limits of one sample. Files, descriptors, threads and the stack have fixed ones (see kFixedLimits).
struct Limits {
  double cpu_s = 3.0;              ///< CPU time of program and tests, all threads together
  double wall_s = 12.0;            ///< from the start of the sample
  double idle_s = 3.0;             ///< asleep without using any CPU time
  int64_t memory_mb = 512;         ///< address space of the program
  int64_t tmp_mb = 16;             ///< its working folder, and the largest file
  int64_t processes = 1;           ///< 1: none can be started; n > 1: n processes and threads together
  int64_t output_bytes = 1 << 20;  ///< standard output and standard error, each

  bool operator==(const Limits&) const = default;
};

/// Throws Error{kBadInput} at `where` for a limit that is out of range; the message gives the range.
void check_limits(const Limits& limits, const std::string& where);
/// Throws Error{kBadInput} for more than one process at a level without a pid namespace: nothing there keeps
/// a program that may start processes from signalling those of its user.
void check_processes(const Limits& limits, Level level, const std::string& where);

/// Limits that no option changes.
struct FixedLimits {
  int64_t tmp_files = 1024;
  int64_t descriptors = 64;
  int64_t threads = 64;
  int64_t stack_mb = 64;
  int64_t judge_memory_mb = 2048;
};
inline constexpr FixedLimits kFixedLimits;

struct SandboxOptions {
  Level level = Level::kAuto;
  /// Level::kNone is refused without it.
  bool accept_no_sandbox = false;
  Timing timing = Timing::kDefault;
  Limits limits;
  /// Samples that run at the same time; 0: one for each processor that this process may use.
  int n_workers = 0;
  /// Added to the nice value of everything that runs in the sandbox.
  int nice = 0;
  /// Interpreter; empty: /usr/bin/python3, else python3 of PATH.
  std::string python;
};

/// Throws Error{kUsage} when `options` contradict themselves.
void check_options(const SandboxOptions& options);

void to_json(nlohmann::json& json, const Limits& limits);
void from_json(const nlohmann::json& json, Limits& limits);
void to_json(nlohmann::json& json, const SandboxOptions& options);
void from_json(const nlohmann::json& json, SandboxOptions& options);

}  // namespace fathom::sandbox
