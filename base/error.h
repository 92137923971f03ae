// Errors and checks.
//
// Two kinds of trouble are kept apart. A broken invariant of fathom itself is a bug: FATHOM_CHECK aborts
// with the values, in every build. Everything the outside world can cause (arguments, data, files, devices)
// is an `Error`: it names the thing, says what was expected and found and what to do, and maps to one of the
// documented exit codes. Absence that is normal is std::optional, never an Error.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <string_view>

namespace fathom {

/// What went wrong, in the terms of the process exit code that it leads to.
enum class ErrorKind {
  kUsage,        ///< the command line is wrong (exit 2)
  kBadInput,     ///< a file, data set, checkpoint or database is wrong (exit 3)
  kEngine,       ///< the engine failed while computing (exit 4)
  kEnvironment,  ///< the machine refuses: sandbox layer, device, lost rank (exit 5)
};

/// Exit codes of every command. docs/commands.md is the user's copy of this table.
enum ExitCode : int {
  kExitDone = 0,
  kExitUsage = 2,
  kExitBadInput = 3,
  kExitEngine = 4,
  kExitEnvironment = 5,
  kExitUnscored = 6,
  kExitGateRegressed = 10,
  kExitGateInconclusive = 11,
  kExitGateNotComparable = 12,
  kExitGateIncomplete = 13,
  kExitInterrupted = 130,
  kExitTerminated = 143,
};

/// The one exception type of fathom. `where` names the file, key, line or layer; it may be empty when the
/// message already does.
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message, std::string where = {});

  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  const std::string& where() const { return where_; }
  /// "where: message", or the message alone.
  const char* what() const noexcept override { return what_.c_str(); }
  int exit_code() const;

 private:
  ErrorKind kind_;
  std::string message_;
  std::string where_;
  std::string what_;
};

/// Throws Error{kBadInput} with a message formatted by fmt; `where` names the file, key or line.
template <typename... Args>
[[noreturn]] void bad_input(std::string where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::kBadInput, fmt::format(format, std::forward<Args>(args)...), std::move(where));
}

namespace detail {
[[noreturn]] void check_failed(const char* condition, const char* file, int line, const std::string& values);
}  // namespace detail

}  // namespace fathom

/// Aborts when `condition` is false: a bug in fathom, never a user's mistake. Further arguments are an fmt
/// format string and its values: FATHOM_CHECK(a == b, "a {} b {}", a, b).
#define FATHOM_CHECK(condition, ...)                                                               \
  do {                                                                                             \
    if (!(condition)) [[unlikely]] {                                                               \
      ::fathom::detail::check_failed(#condition, __FILE__, __LINE__, fmt::format("" __VA_ARGS__)); \
    }                                                                                              \
  } while (false)
