// Landlock: what the kernel offers and the rules that a program gets. python/zygote.py makes the calls.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "scorers/sandbox/interpreter.h"

namespace fathom::sandbox {

/// Version of the kernel's Landlock interface, 0 when there is none.
int landlock_abi();
/// Why it is 0: "not built into this kernel", "disabled at boot", or empty.
std::string landlock_absence();

/// The zygote's configuration: read `visible`, use the working folder, nothing else; no TCP (interface 4), no
/// abstract sockets or signals beyond the domain (interface 6).
nlohmann::json landlock_rules(int abi, const VisibleFiles& visible);

}  // namespace fathom::sandbox
