// The supervisor process: owns the cells, hands out samples, runs again what only the clock on the wall
// ended.
//
// It is a process of its own so that zygotes are cloned from something small, whatever models and devices the
// harness has mapped, and so that everything ends with the harness: when its socket closes, the supervisor
// kills all cells.
#pragma once

namespace fathom::sandbox {

/// Argument that makes a fathom binary the supervisor; the next one is the number of its socket.
inline constexpr const char* kBrokerArgument = "--sandbox-broker";

/// To be called first in main() of every binary that starts a Sandbox. Does not return when the arguments ask
/// for a supervisor; returns at once otherwise.
void run_broker_if_asked(int argc, char** argv);

}  // namespace fathom::sandbox
