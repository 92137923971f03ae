#include "results/file_system.h"

#include <sys/statfs.h>

#include <cstdint>

namespace fathom::results {
namespace {

struct NetworkType {
  uint32_t magic;
  const char* name;
};

// statfs(2); the numbers of Lustre, GPFS and BeeGFS are those of their own headers. FUSE may be local, but
// most FUSE mounts of a cluster are not, and the careful mode works on both.
constexpr NetworkType kNetworkTypes[] = {
    {0x6969, "NFS"},        {0x517b, "SMB"},          {0xff534d42, "CIFS"},   {0xfe534d42, "SMB2"},
    {0x65735546, "FUSE"},   {0x5346414f, "AFS"},      {0x6b414653, "AFS"},    {0x73757245, "Coda"},
    {0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"},     {0x00c36400, "Ceph"},   {0x01021997, "9P"},
    {0x19830326, "BeeGFS"}, {0x20030528, "OrangeFS"}, {0x786f4256, "vboxsf"}, {0x01161970, "GFS2"},
    {0x7461636f, "OCFS2"},
};

}  // namespace

FileSystemInfo probe_file_system(const std::filesystem::path& path) {
  struct statfs status{};
  std::filesystem::path folder = path.parent_path();
  if (folder.empty()) folder = ".";
  if (::statfs(path.c_str(), &status) != 0 && ::statfs(folder.c_str(), &status) != 0) return {};
  for (const NetworkType& type : kNetworkTypes) {
    if (static_cast<uint32_t>(status.f_type) == type.magic) return {true, type.name};
  }
  return {};
}

}  // namespace fathom::results
