#include "scorers/sandbox/namespaces.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "base/error.h"

namespace fathom::sandbox {
namespace {

constexpr NamespaceFlag kNamespaces[] = {
    {CLONE_NEWUSER, "user namespace"},     {CLONE_NEWPID, "pid namespace"}, {CLONE_NEWNS, "mount namespace"},
    {CLONE_NEWNET, "network namespace"},   {CLONE_NEWIPC, "ipc namespace"}, {CLONE_NEWUTS, "uts namespace"},
    {CLONE_NEWCGROUP, "cgroup namespace"},
};

void write_map(pid_t pid, const char* name, const std::string& line) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!written) throw SetupFailure{"user namespace", std::string("writing ") + name, error};
}

}  // namespace

std::span<const NamespaceFlag> all_namespaces() {
  return kNamespaces;
}

pid_t clone_process(uint64_t flags) {
  clone_args args{};
  args.flags = flags;
  args.exit_signal = SIGCHLD;
  const long pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid >= 0 || errno != ENOSYS) return static_cast<pid_t>(pid);
  // Container filters refuse clone3 this way, as they cannot read its flags.
#if defined(__x86_64__)
  return static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0));
#else
  return static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, 0, nullptr));
#endif
}

std::optional<SetupFailure> refused_namespace() {
  for (const auto& [flag, layer] : kNamespaces) {
    const pid_t pid = clone_process(flag | CLONE_NEWUSER);
    if (pid == 0) _exit(0);
    if (pid < 0) return SetupFailure{layer, "clone", errno};
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return std::nullopt;
}

void write_id_maps(pid_t pid, uid_t outer_user, gid_t outer_group) {
  write_map(pid, "setgroups", "deny");
  write_map(pid, "uid_map", fmt::format("{} {} 1", kInnerId, outer_user));
  write_map(pid, "gid_map", fmt::format("{} {} 1", kInnerId, outer_group));
}

}  // namespace fathom::sandbox
