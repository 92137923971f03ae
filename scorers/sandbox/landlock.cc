#include "scorers/sandbox/landlock.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace fathom::sandbox {
namespace {

// <linux/landlock.h> of Debian 12 ends at interface 1; the numbers are the kernel's.
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
constexpr uint32_t kVersionQuestion = 1;

constexpr uint64_t kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadFolder = 1 << 3, kRemoveFolder = 1 << 4,
                   kRemoveFile = 1 << 5, kMakeFolder = 1 << 7, kMakeFile = 1 << 8, kMakeLink = 1 << 12,
                   kRefer = 1 << 13, kTruncate = 1 << 14;
constexpr uint64_t kBindTcp = 1 << 0, kConnectTcp = 1 << 1;
constexpr uint64_t kScopeAbstractSocket = 1 << 0, kScopeSignal = 1 << 1;

// Rights that exist in each interface: all below the bit.
uint64_t all_file_rights(int abi) {
  const int n_rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
  return (uint64_t{1} << n_rights) - 1;
}

}  // namespace

int landlock_abi() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionQuestion);
  return version > 0 ? static_cast<int>(version) : 0;
}

std::string landlock_absence() {
  if (syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionQuestion) > 0) return {};
  if (errno == ENOSYS)
    return "not built into this kernel (Linux >= 5.13 with CONFIG_SECURITY_LANDLOCK has it)";
  if (errno == EOPNOTSUPP) return "disabled at boot (add landlock to the kernel's lsm= list)";
  return "refused to this process";
}

nlohmann::json landlock_rules(int abi, const VisibleFiles& visible) {
  const uint64_t handled = all_file_rights(abi);
  const uint64_t working_folder = kWriteFile | kReadFile | kReadFolder | kRemoveFolder | kRemoveFile |
                                  kMakeFolder | kMakeFile | kMakeLink | kRefer | kTruncate;
  nlohmann::json files = nlohmann::json::array();
  for (const std::string& file : visible.files) files.push_back({file, kReadFile});
  files.push_back({"/dev/null", (kReadFile | kWriteFile | kTruncate) & handled});
  return {{"abi", abi},
          {"handled_files", handled},
          {"handled_net", kBindTcp | kConnectTcp},
          {"scoped", kScopeAbstractSocket | kScopeSignal},
          {"readable", visible.folders},
          {"read", kReadFile | kReadFolder},
          {"files", files},
          {"tmp", working_folder & handled}};
}

}  // namespace fathom::sandbox
