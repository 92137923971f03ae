// The corpus against a sandbox of one level.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "scorers/sandbox/options.h"

namespace fathom::sandbox {

/// Runs the attacks of `categories` (empty: all) at `level`, an honest program after each. One line for each
/// wrong verdict, for each honest program that did not pass, and for everything on the host that is not as it
/// was.
std::vector<std::string> run_attacks(Level level, const std::set<std::string>& categories);

/// Why this machine has no sandbox of that level for the current user; empty when it has.
std::string refusal(Level level);

}  // namespace fathom::sandbox
