// Where numbers come from, in the store's terms: this binary and this machine.
#pragma once

#include <string>

#include "kernels/kernels.h"
#include "results/records.h"

namespace fathom::harness {

results::BuildRecord running_build();
/// The machine as stored: describe_machine() in JSON, with the device of `space` where it is not the CPU.
std::string machine_json(kernels::Space space);

}  // namespace fathom::harness
