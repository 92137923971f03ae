// What a process does to itself between clone and exec to become the confined home of an interpreter.
//
// Everything runs in the new process. A step that fails throws SetupFailure, which travels to the supervisor
// as a report; nothing is skipped and nothing is tried in a weaker form.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "scorers/sandbox/interpreter.h"

namespace fathom::sandbox {

/// A layer that could not be put in place, or that did not hold when it was tried.
struct SetupFailure {
  std::string layer;  ///< "network namespace"
  std::string what;   ///< "connect to the supervisor's listener was not refused"
  int error = 0;      ///< errno, 0 when no call failed
};

/// Throws SetupFailure with the current errno when `status` is negative.
void require_call(int64_t status, const char* layer, const std::string& what);

/// A listener, a file and a process of the supervisor that a confined process must not reach.
struct HostWitness {
  uint16_t tcp_port = 0;
  std::string abstract_socket;  ///< name in the abstract Unix namespace
  std::string canary_path;
  pid_t supervisor = 0;
  std::vector<std::pair<std::string, std::string>> namespaces;  ///< "net" -> "net:[4026531840]"
};

inline constexpr uid_t kInnerId = 1000;  ///< user and group inside a user namespace
inline constexpr const char* kHostName = "sandbox";

/// The namespaces as /proc/self/ns shows them now, without "user".
std::vector<std::pair<std::string, std::string>> own_namespaces();

/// The trees of a private root are opened while the outer user's rights still reach them, and mounted later.
class PrivateRoot {
 public:
  /// Opens everything in `visible` and /dev/null. Throws SetupFailure.
  explicit PrivateRoot(const VisibleFiles& visible);

  /// Builds the root in a new tmpfs, makes it the root of this mount namespace, read-only, and leaves nothing
  /// of the old one. With `tmp_bytes` > 0 a tmpfs of that size is mounted on /tmp; else /tmp is an empty
  /// folder.
  void enter(int64_t tmp_bytes);

 private:
  struct Tree {
    int fd;
    std::string path;
    bool folder;
  };
  void add(const std::string& path, bool folder, uint64_t attributes);

  std::vector<Tree> trees_;
  std::vector<std::string> hidden_folders_;
  std::vector<std::pair<std::string, std::string>> links_;
};

/// Becomes the inner user. Throws SetupFailure.
void become(uid_t uid, gid_t gid);

/// Tries to get out of the new namespaces: the supervisor's namespaces, listener, abstract socket, process
/// and file. To be called before a system call filter hides what they do. Throws SetupFailure when one
/// attempt works.
void check_namespaces(const HostWitness& witness);
void check_private_root(const HostWitness& witness, const Interpreter& interpreter);

/// Keeps `kept` (a set of 1 << CAP_...) in the permitted, effective, inheritable and ambient sets and drops
/// the rest, the bounding set included.
void limit_capabilities(uint64_t kept);

void set_limits(bool count_processes);
void forbid_new_privileges();
/// `code`: struct sock_filter[].
void load_filter(const std::string& code);

}  // namespace fathom::sandbox
