// What this binary is: version, commit, compiler, instruction sets and what is compiled in.
#pragma once

#include <string>

namespace fathom::harness {

std::string version_text();

}  // namespace fathom::harness
