#include "harness/version.h"

#include <fmt/format.h>

#include "build_info.h"
#include "harness/machine.h"

namespace fathom::harness {

std::string version_number() {
  return kVersion;
}

std::string version_text() {
  const MachineInfo machine = describe_machine();
  return fmt::format(
      "fathom {}\ncommit   {}{}\ncompiler {} ({})\nCPU      {} ({})\nCUDA     {}\nNCCL     {}\nMPI      {}",
      kVersion, kGitCommit, kGitDirty ? " with local changes" : "", kCompiler, kBuildType,
      machine.instruction_sets, machine.cpu, kCudaState, kNcclState, kMpiState);
}

}  // namespace fathom::harness
