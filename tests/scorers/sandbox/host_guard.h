// What an attack would like to reach on the host, and whether one did: a file and a folder that everybody may
// write, listeners, a process, and the list of processes that this one has to answer for.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "scorers/sandbox/file_descriptor.h"

namespace fathom::sandbox {

class HostGuard {
 public:
  /// Makes everything as the current user. Orphans of this process's descendants become its children from now
  /// on.
  HostGuard();
  ~HostGuard();
  HostGuard(const HostGuard&) = delete;
  HostGuard& operator=(const HostGuard&) = delete;

  /// CANARY, FOLDER, PORT, ABSTRACT, SOCKET, VICTIM, HARNESS, HOSTNAME: written into the attacks.
  const std::map<std::string, std::string>& facts() const { return facts_; }

  /// One line for each thing that is not as it was. To be asked when no sandbox is running.
  std::vector<std::string> damage() const;

 private:
  void make_files();
  void listen();
  void start_victim();

  std::filesystem::path folder_;
  std::filesystem::path temporary_folder_;  // TMPDIR of the process meanwhile
  std::map<std::string, std::string> facts_;
  std::string canary_state_;
  FileDescriptor tcp_, udp_, abstract_, path_;
  pid_t victim_ = -1;
};

/// The children of this process that are alive, those that it inherited included; reaps the dead ones. Waits
/// up to a second for the ones that are dying: what bubblewrap started is killed by its death.
std::vector<pid_t> living_children(pid_t expected);

/// The children of any process, as numbers of this pid namespace.
std::vector<pid_t> children_of(pid_t pid);

}  // namespace fathom::sandbox
