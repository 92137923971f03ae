// Which system calls a Python program makes that the sandbox's filter refuses: how the list of a Python
// version is made and checked (docs/sandbox.md). For the doctor and for error messages; no sample is ever
// traced.
#pragma once

#include <string>
#include <vector>

#include "scorers/sandbox/interpreter.h"

namespace fathom::sandbox {

/// Runs `program` under the filter of the interpreter's version, but lets refused calls happen and notes
/// their names, in the order in which they first occur. The program is trusted: it is ours. Throws
/// Error{kEnvironment} when the interpreter cannot be traced (no ptrace here) or does not end by itself with
/// status 0.
std::vector<std::string> refused_calls(const Interpreter& interpreter, const std::string& program);

/// Imports what the sandbox preloads and what programs often import besides, and uses a little of it.
const std::string& typical_imports();

}  // namespace fathom::sandbox
