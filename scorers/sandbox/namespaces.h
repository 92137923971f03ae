// Making a process in new namespaces, and naming the one that the kernel refuses.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>

#include "scorers/sandbox/setup.h"

namespace fathom::sandbox {

struct NamespaceFlag {
  uint64_t flag;  ///< CLONE_NEW...
  const char* layer;
};

/// The seven that level full uses; the user namespace first, as the others need it.
std::span<const NamespaceFlag> all_namespaces();

/// fork() into the namespaces of `flags`: 0 in the child, -1 with errno when the kernel refuses.
pid_t clone_process(uint64_t flags);

/// Asks for the namespaces one by one: the first refused one. The kernel reports one error for all together.
std::optional<SetupFailure> refused_namespace();

/// Maps kInnerId of the user namespace of `pid` to `outer_user` and `outer_group`. Throws SetupFailure.
void write_id_maps(pid_t pid, uid_t outer_user, gid_t outer_group);

}  // namespace fathom::sandbox
