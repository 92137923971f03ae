// Taking a facility of the kernel away from this process and all its descendants, as old kernels, containers
// and system settings do: by a seccomp filter of our own, or by the limits of a nested user namespace. For
// good, so only in a process made for it (as_user.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fathom::sandbox {

/// A system call that fails with `error` from now on; 0: it does nothing and pretends to have worked.
struct RefusedCall {
  std::string name;
  int error = 0;
  struct Condition {
    unsigned argument = 0;
    uint64_t mask = ~uint64_t{0};
    uint64_t value = 0;
    bool other = false;  ///< the argument is anything else than `value`
  };
  std::optional<Condition> only_if;  ///< (argument & mask) == value, or argument != value
};

/// Throws std::runtime_error.
void refuse_calls(const std::vector<RefusedCall>& calls);

/// Enters a user namespace in which this user is who it was and /proc/sys/user/max_NAME_namespaces is 0.
/// Throws std::runtime_error.
void forbid_namespaces(const std::string& name);

/// Hides a file behind /dev/null in a mount namespace of our own. Throws std::runtime_error.
void hide_file(const std::string& path);

}  // namespace fathom::sandbox
