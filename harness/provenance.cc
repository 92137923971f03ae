#include "harness/provenance.h"

#include <nlohmann/json.hpp>

#include "build_info.h"
#include "harness/machine.h"
#include "results/file_hasher.h"

namespace fathom::harness {

results::BuildRecord running_build() {
  return {.sha256 = sha256_file("/proc/self/exe"),
          .version = kVersion,
          .git_commit = kGitCommit,
          .git_dirty = kGitDirty,
          .compiler = kCompiler};
}

std::string machine_json() {
  const MachineInfo machine = describe_machine();
  return nlohmann::json{{"hostname", machine.hostname},
                        {"cpu", machine.cpu},
                        {"instruction_sets", machine.instruction_sets},
                        {"cores", machine.cores},
                        {"ram_bytes", machine.ram_bytes},
                        {"kernel", machine.kernel}}
      .dump();
}

}  // namespace fathom::harness
