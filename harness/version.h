// What this binary is: version, commit, compiler, instruction sets and what is compiled in.
#pragma once

#include <string>

namespace fathom::harness {

/// "0.1.0"
std::string version_number();
/// What `fathom --version` prints.
std::string version_text();

}  // namespace fathom::harness
