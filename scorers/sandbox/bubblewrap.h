// The command line that starts an interpreter through the bubblewrap program.
#pragma once

#include <string>
#include <vector>

#include "scorers/sandbox/zygote.h"

namespace fathom::sandbox {

/// Path of bwrap, empty when it is not installed.
std::string find_bubblewrap();

/// argv of bwrap for `spec`; it reads the filter from `filter_fd` and writes what it made to `info_fd`. Every
/// namespace is named and none is optional: bwrap's own "--unshare-all" goes on without a user namespace.
std::vector<std::string> bubblewrap_arguments(const ZygoteSpec& spec, int filter_fd, int info_fd);

/// Compares the namespaces in bwrap's report (JSON) with the supervisor's. Throws SetupFailure naming a
/// shared one.
void check_bubblewrap_namespaces(const std::string& info, const HostWitness& witness);

}  // namespace fathom::sandbox
