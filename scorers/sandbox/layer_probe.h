// What this machine offers, layer by layer: each one is tried by itself in a process made for it.
//
// For people who ask why a level is refused (`fathom doctor`). A run does not depend on it: its preflight
// tries to break all layers together, inside the finished sandbox.
#pragma once

#include <string>
#include <vector>

#include "scorers/sandbox/interpreter.h"

namespace fathom::sandbox {

struct LayerFinding {
  std::string layer;
  bool present = false;
  std::string note;  ///< absent: the refused call, its errno and what to do; present: what is worth knowing
};

/// Every layer of every level, in the order in which a sample meets them. Without an interpreter the private
/// root cannot be tried and is reported absent. Throws Error{kEnvironment} when no process can be made.
std::vector<LayerFinding> probe_layers(const Interpreter* interpreter);

}  // namespace fathom::sandbox
