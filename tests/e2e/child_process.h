// A process of a test: started, signalled, waited for.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fathom::testing {

/// How a process ended: by exit(code), or by a signal.
struct ProcessEnd {
  std::optional<int> exit_code;
  int signal = 0;
};

class ChildProcess {
 public:
  /// Runs FATHOM_BINARY with `args`; its output goes to the two files. HOME is `home`, so that no cache of
  /// the user's is read or written.
  ChildProcess(const std::vector<std::string>& args, const std::filesystem::path& home,
               const std::filesystem::path& out, const std::filesystem::path& err);
  /// Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void send(int signal) const;
  ProcessEnd wait();
  /// Nothing when it still runs after `timeout`.
  std::optional<ProcessEnd> wait_for(std::chrono::microseconds timeout);

 private:
  pid_t pid_ = -1;  // -1: it has ended
};

}  // namespace fathom::testing
