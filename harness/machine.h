// The machine a run computes on: recorded with every run, never compared (see docs/numerics.md).
#pragma once

#include <cstdint>
#include <string>

namespace fathom::harness {

struct MachineInfo {
  std::string hostname;
  std::string cpu;               ///< model name of /proc/cpuinfo, or "unknown"
  std::string instruction_sets;  ///< "AVX2 FMA F16C": of those fathom's kernels care about, what this CPU has
  int cores = 1;                 ///< processors this process may use
  int64_t ram_bytes = 0;
  std::string kernel;  ///< "Linux 6.1.0"
};

MachineInfo describe_machine();

}  // namespace fathom::harness
