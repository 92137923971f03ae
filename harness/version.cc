#include "harness/version.h"

#include <fmt/format.h>

#include "build_info.h"

namespace fathom::harness {

std::string version_text() {
  return fmt::format("fathom {}\ncommit   {}{}\ncompiler {} ({})\nCUDA     {}\nNCCL     {}\nMPI      {}",
                     kVersion, kGitCommit, kGitDirty ? " with local changes" : "", kCompiler, kBuildType,
                     kCudaState, kNcclState, kMpiState);
}

}  // namespace fathom::harness
