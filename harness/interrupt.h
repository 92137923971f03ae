// Ctrl-C and SIGTERM: the first asks the run to end after the batch at hand, the second ends the process.
#pragma once

#include <atomic>

namespace fathom::harness {

/// While one of these lives, SIGINT and SIGTERM set a flag instead of ending the process. At most one at a
/// time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// 0, or the signal that came first.
  const std::atomic<int>& signal() const;
  /// 128 + the signal: 130 for SIGINT, 143 for SIGTERM.
  int exit_code() const;
};

}  // namespace fathom::harness
