#include "harness/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include "base/error.h"

namespace fathom::harness {
namespace {

std::atomic<int> received{0};
static_assert(std::atomic<int>::is_always_lock_free, "the signal handler stores to it");

struct sigaction old_interrupt;
struct sigaction old_terminate;

// Async-signal-safe: an atomic store, write and _exit only.
void on_signal(int signal) {
  if (received.exchange(signal) != 0) ::_exit(128 + signal);
  static constexpr char kMessage[] = "\nfathom: storing what is done; once more to stop at once\n";
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // reads and writes go on; the run loop looks at the flag between requests
  FATHOM_CHECK(::sigaction(SIGINT, &action, &old_interrupt) == 0);
  FATHOM_CHECK(::sigaction(SIGTERM, &action, &old_terminate) == 0);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &old_interrupt, nullptr);
  ::sigaction(SIGTERM, &old_terminate, nullptr);
}

const std::atomic<int>& InterruptGuard::signal() const {
  return received;
}

int InterruptGuard::exit_code() const {
  return 128 + received.load();
}

}  // namespace fathom::harness
