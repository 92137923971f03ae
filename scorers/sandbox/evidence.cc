#include "scorers/sandbox/evidence.h"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "scorers/sandbox/zygote.h"

namespace fathom::sandbox {
namespace {

constexpr size_t kLongestMessage = 2048;
constexpr double kNearLimit = 0.5;

bool has_class(const JudgeOutcome& judge, std::string_view name) {
  return std::find(judge.classes.begin(), judge.classes.end(), name) != judge.classes.end();
}

std::string class_name(const JudgeOutcome& judge) {
  return judge.classes.empty() ? "" : judge.classes.front();
}

std::string describe_exception(const JudgeOutcome& judge) {
  std::string text = class_name(judge);
  if (!judge.message.empty()) text += (text.empty() ? "" : ": ") + judge.message;
  if (judge.line > 0) text += fmt::format(" (line {} of the program)", judge.line);
  if (!judge.where.empty()) text += fmt::format(" [{}]", judge.where);
  return text;
}

int ending_signal(int status) {
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

std::string describe_death(int status) {
  if (const int number = ending_signal(status)) {
    return fmt::format("the program ended by signal {} ({}) before the tests did", number, strsignal(number));
  }
  return fmt::format("the program exited with status {} before the tests ended", WEXITSTATUS(status));
}

// Limits that the kernel enforces by an error number: an uncaught one names the limit.
std::string limit_of_error(const JudgeOutcome& judge, const Limits& limits) {
  if (has_class(judge, "OSError")) {
    switch (judge.error_number) {
      case ENOSPC:
      case EDQUOT:
        return fmt::format("tmp_mb: /tmp holds {} MiB and {} files", limits.tmp_mb, kFixedLimits.tmp_files);
      case EFBIG:
        return fmt::format("tmp_mb: a file may have {} MiB", limits.tmp_mb);
      case EMFILE:
        return fmt::format("descriptors: limit {}", kFixedLimits.descriptors);
      case EAGAIN:
        if (limits.processes > 1) return fmt::format("processes: limit {}", limits.processes);
        break;
      default:
        break;
    }
  }
  if (class_name(judge) == "RuntimeError" && judge.message == "can't start new thread") {
    return fmt::format("threads: limit {}, each with memory for its stack", kFixedLimits.threads);
  }
  return {};
}

std::optional<Decision> policy_violation(const Evidence& evidence, const Limits& limits, int signal) {
  const auto killed = [&](std::string detail) {
    return Decision{Verdict::kKilledByPolicy, std::move(detail), signal};
  };
  if (evidence.stopped_by == StoppedBy::kOutput || evidence.output_bytes > limits.output_bytes) {
    return killed(fmt::format("output: more than {} bytes", limits.output_bytes));
  }
  if (signal == SIGSYS) {
    return killed(fmt::format(
        "processes: limit {}; a new process (or a system call of another architecture) was refused",
        limits.processes));
  }
  if (evidence.runner_flags & kTmpFilesUsedUp)
    return killed(fmt::format("files: limit {}", kFixedLimits.tmp_files));
  if (evidence.runner_flags & kTmpBytesUsedUp)
    return killed(fmt::format("tmp_mb: limit {} MiB", limits.tmp_mb));
  return std::nullopt;
}

std::optional<Decision> timeout(const Evidence& evidence, const Limits& limits, Timing timing, int signal) {
  const auto late = [&](std::string detail) {
    return Decision{Verdict::kTimeout, std::move(detail), signal};
  };
  const std::string clocks =
      fmt::format("{:.2f} s of CPU time in {:.2f} s", evidence.cpu_ms / 1e3, evidence.wall_ms / 1e3);
  const bool over_cpu = timing == Timing::kDefault && evidence.cpu_ms >= limits.cpu_s * 1e3;
  if (over_cpu || evidence.stopped_by == StoppedBy::kCpu || signal == SIGXCPU) {
    return late(fmt::format("cpu: {}, limit {} s of CPU time", clocks, limits.cpu_s));
  }
  if (evidence.stopped_by == StoppedBy::kWall)
    return late(fmt::format("wall: {}, limit {} s", clocks, limits.wall_s));
  if (evidence.stopped_by == StoppedBy::kIdle) {
    return late(fmt::format("idle: {}, asleep for {} s", clocks, limits.idle_s));
  }
  return std::nullopt;
}

Decision decide_by_judge(const JudgeOutcome& judge, const Evidence& evidence, const Limits& limits,
                         int signal) {
  const auto give = [&](Verdict verdict, std::string detail) {
    return Decision{verdict, std::move(detail), signal};
  };
  if (judge.outcome == "gone") return give(Verdict::kRuntimeError, describe_death(evidence.runner_status));
  if (judge.outcome == "memory") return give(Verdict::kOom, "MemoryError: " + judge.message);
  if (judge.outcome == "bad_reply")
    return give(Verdict::kRuntimeError, "a reply outside the rules: " + judge.message);
  if (judge.outcome == "assert") {
    return give(Verdict::kFail, judge.where + (judge.message.empty() ? "" : " (" + judge.message + ")"));
  }
  const std::string exception = describe_exception(judge);
  if (judge.outcome == "load" && judge.stage == "compile") return give(Verdict::kCompileError, exception);
  if (judge.outcome == "exit" || has_class(judge, "SystemExit") || has_class(judge, "KeyboardInterrupt")) {
    return give(Verdict::kFail, exception);
  }
  if (has_class(judge, "MemoryError") || (has_class(judge, "OSError") && judge.error_number == ENOMEM)) {
    return give(Verdict::kOom, fmt::format("{}; memory_mb: limit {} MiB", exception, limits.memory_mb));
  }
  if (const std::string limit = limit_of_error(judge, limits); !limit.empty()) {
    return give(Verdict::kKilledByPolicy, fmt::format("{} ({})", limit, exception));
  }
  return give(Verdict::kRuntimeError, exception);
}

Decision decide_whole(const Evidence& evidence, const Limits& limits, Timing timing) {
  const int signal = evidence.runner_killed ? 0 : ending_signal(evidence.runner_status);
  const auto sandbox_error = [](std::string detail) {
    return Decision{Verdict::kSandboxError, std::move(detail), 0};
  };
  if (!evidence.sandbox_failure.empty()) return sandbox_error(evidence.sandbox_failure);
  if (evidence.judge && evidence.judge->outcome == "tests") return sandbox_error(evidence.judge->message);
  if (const auto violation = policy_violation(evidence, limits, signal)) return *violation;
  if (const auto late = timeout(evidence, limits, timing, signal)) return *late;
  if (!evidence.judge) {
    return sandbox_error(
        fmt::format("the judge died: {}", ending_signal(evidence.judge_status) != 0
                                              ? strsignal(ending_signal(evidence.judge_status))
                                              : "it gave no verdict"));
  }
  if (evidence.judge->outcome == "pass") return {Verdict::kPass, "", signal};
  if (evidence.memory_kill) {
    return {Verdict::kOom,
            fmt::format("killed by the kernel; memory_mb: limit {} MiB for all processes together",
                        limits.memory_mb),
            signal};
  }
  // Nobody but the kernel kills a program that is near its limit; one that is far from it killed itself.
  if (signal == SIGKILL && evidence.peak_rss_mb >= kNearLimit * static_cast<double>(limits.memory_mb)) {
    return {Verdict::kOom, fmt::format("killed by the kernel at {:.0f} MiB", evidence.peak_rss_mb), signal};
  }
  return decide_by_judge(*evidence.judge, evidence, limits, signal);
}

}  // namespace

std::optional<JudgeOutcome> parse_judge_outcome(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto get_text = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto get_number = [&](const char* key) -> int64_t {
    const auto found = json.find(key);
    return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
  };
  JudgeOutcome judge;
  judge.outcome = get_text("outcome");
  for (const char* known :
       {"pass", "assert", "raise", "load", "gone", "bad_reply", "exit", "memory", "tests"}) {
    if (judge.outcome != known) continue;
    judge.stage = get_text("stage");
    judge.message = get_text("message");
    judge.where = get_text("where");
    judge.error_number = static_cast<int>(get_number("errno"));
    judge.line = static_cast<int>(get_number("line"));
    judge.calls = get_number("calls");
    judge.turn = get_number("turn");
    judge.compiled = json.value("compiled", nlohmann::json()) == true;
    if (const auto classes = json.find("classes"); classes != json.end() && classes->is_array()) {
      for (const auto& name : *classes) {
        if (name.is_string()) judge.classes.push_back(name.get<std::string>());
      }
    }
    return judge;
  }
  return std::nullopt;
}

Decision decide(const Evidence& evidence, const Limits& limits, Timing timing) {
  Decision decision = decide_whole(evidence, limits, timing);
  if (decision.detail.size() > kLongestMessage) {
    size_t end = kLongestMessage;
    while (end > 0 && (static_cast<unsigned char>(decision.detail[end]) & 0xC0) == 0x80)
      --end;  // whole characters
    decision.detail.resize(end);
  }
  return decision;
}

bool deserves_another_run(const Evidence& evidence, const Decision& decision, const Limits& limits,
                          Timing timing) {
  const bool by_wall = evidence.stopped_by == StoppedBy::kWall || evidence.stopped_by == StoppedBy::kIdle;
  return timing == Timing::kDefault && decision.verdict == Verdict::kTimeout && by_wall &&
         evidence.cpu_ms < 0.9 * limits.cpu_s * 1e3;
}

}  // namespace fathom::sandbox
