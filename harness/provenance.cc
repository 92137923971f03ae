#include "harness/provenance.h"

#include <nlohmann/json.hpp>

#include "build_info.h"
#include "harness/machine.h"
#include "kernels/device.h"
#include "results/file_hasher.h"

namespace fathom::harness {

results::BuildRecord running_build() {
  return {.sha256 = sha256_file("/proc/self/exe"),
          .version = kVersion,
          .git_commit = kGitCommit,
          .git_dirty = kGitDirty,
          .compiler = kCompiler};
}

std::string machine_json(kernels::Space space) {
  const MachineInfo machine = describe_machine();
  nlohmann::json json{{"hostname", machine.hostname},
                      {"cpu", machine.cpu},
                      {"instruction_sets", machine.instruction_sets},
                      {"cores", machine.cores},
                      {"ram_bytes", machine.ram_bytes},
                      {"kernel", machine.kernel}};
  if (const std::optional<std::string> device = kernels::device_name(space)) {
    json["device"] = *device;
    json["device_bytes"] = kernels::memory_bytes(space);
  }
  return json.dump();
}

}  // namespace fathom::harness
