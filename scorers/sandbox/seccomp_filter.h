// The two seccomp filters of a program.
//
// The zygote filter is loaded before the interpreter starts: what a program may call, and what the zygote
// needs to fork and confine its children. The child filter is added in every child and takes the second part
// away; it is short, as it is loaded once per sample, and holds the child's own process number, known only
// then. Together: refused calls fail with EPERM, so that a program that probes an optional feature goes on;
// unknown ones with ENOSYS; a call of another architecture, and a new process where none is allowed, end the
// process (SIGSYS).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::sandbox {

enum class Refusal {
  kError,          ///< EPERM
  kStopForTracer,  ///< for a trace of what is refused; without a tracer ENOSYS
};

struct ZygoteFilterSpec {
  int python_minor = 11;
  bool mounts = false;  ///< the zygote mounts a fresh /tmp itself
  Refusal refusal = Refusal::kError;
};
/// An array of struct sock_filter as bytes. Throws Error{kEnvironment} when libseccomp cannot build it.
std::string zygote_filter(const ZygoteFilterSpec& spec);

struct ChildFilter {
  std::string code;                 ///< struct sock_filter[], as bytes
  std::vector<size_t> pid_offsets;  ///< where the child writes its process number, 32 bits
};
enum class ChildProcesses {
  kOne,   ///< a new process ends the program; it may signal itself only
  kMany,  ///< processes are counted by RLIMIT_NPROC and may signal each other
};
struct ChildFilterSpec {
  ChildProcesses processes = ChildProcesses::kOne;
  /// Names of further calls that the child may not make, though its zygote may.
  std::vector<std::string_view> refused;
};
ChildFilter child_filter(const ChildFilterSpec& spec);

/// Number of a system call of this architecture. Throws Error{kEnvironment} for an unknown name.
int call_number(std::string_view name);
/// Name of a number, "call 4711" for an unknown one.
std::string call_name(int number);

}  // namespace fathom::sandbox
