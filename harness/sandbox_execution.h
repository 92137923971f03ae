// SandboxExecution: the sandbox as the run loop sees it.
#pragma once

#include <memory>

#include "harness/code_execution.h"
#include "scorers/sandbox/options.h"

namespace fathom::harness {

/// Starts the sandbox, preflight included. Throws Error{kEnvironment} naming the missing layer.
std::unique_ptr<CodeExecution> start_sandbox_execution(const sandbox::SandboxOptions& options);

}  // namespace fathom::harness
