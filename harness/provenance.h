// Where numbers come from, in the store's terms: this binary and this machine.
#pragma once

#include <string>

#include "results/records.h"

namespace fathom::harness {

results::BuildRecord running_build();
/// The machine as stored: describe_machine() in JSON.
std::string machine_json();

}  // namespace fathom::harness
