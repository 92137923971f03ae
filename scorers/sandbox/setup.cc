#include "scorers/sandbox/setup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "scorers/sandbox/options.h"

namespace fathom::sandbox {
namespace {

constexpr int kLastCapability = 63;  // the kernel refuses numbers that it does not have

void refuse(bool reached, const char* layer, const std::string& what) {
  if (reached) throw SetupFailure{layer, what + " was not refused", 0};
}

bool can_connect(int family, const sockaddr* address, socklen_t size) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const bool connected = connect(fd, address, size) == 0 || errno == EINPROGRESS;
  close(fd);
  return connected;
}

bool can_connect_tcp(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return can_connect(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

bool can_connect_abstract(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), std::min(name.size(), sizeof address.sun_path - 1));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return can_connect(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), size);
}

bool can_open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

struct CapabilitySets {
  uint64_t effective;
  uint64_t permitted;
  uint64_t inheritable;
};

// Sets that ask for more than the process has are cut to it.
void set_capabilities(const CapabilitySets& wanted) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2];
  require_call(syscall(SYS_capget, &header, sets), "capabilities", "capget");
  for (int half = 0; half < 2; ++half) {
    const auto cut = [half](uint64_t set) { return static_cast<uint32_t>(set >> (32 * half)); };
    const uint32_t held = sets[half].permitted;
    sets[half] = {cut(wanted.effective) & held, cut(wanted.permitted) & held, cut(wanted.inheritable) & held};
  }
  require_call(syscall(SYS_capset, &header, sets), "capabilities", "capset");
}

void limit(__rlimit_resource_t resource, rlim_t soft, rlim_t hard) {
  rlimit now{};
  getrlimit(resource, &now);
  const rlimit wanted = {std::min(soft, now.rlim_max), std::min(hard, now.rlim_max)};
  require_call(setrlimit(resource, &wanted), "resource limits", "setrlimit");
}

}  // namespace

void require_call(int64_t status, const char* layer, const std::string& what) {
  if (status < 0) throw SetupFailure{layer, what, errno};
}

std::vector<std::pair<std::string, std::string>> own_namespaces() {
  std::vector<std::pair<std::string, std::string>> found;
  for (const char* name : {"pid", "mnt", "net", "ipc", "uts", "cgroup"}) {
    char target[64];
    const ssize_t n = readlink((std::string("/proc/self/ns/") + name).c_str(), target, sizeof target);
    if (n > 0) found.emplace_back(name, std::string(target, static_cast<size_t>(n)));
  }
  return found;
}

void become(uid_t uid, gid_t gid) {
  require_call(setresgid(gid, gid, gid), "user namespace", "setresgid");
  require_call(setresuid(uid, uid, uid), "user namespace", "setresuid");
  if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid) {
    throw SetupFailure{"user namespace", "the process did not become the user it was told to", 0};
  }
}

void check_namespaces(const HostWitness& witness) {
  const auto inside = own_namespaces();
  for (size_t i = 0; i < inside.size() && i < witness.namespaces.size(); ++i) {
    const std::string layer = (inside[i].first == "mnt"   ? "mount"
                               : inside[i].first == "net" ? "network"
                                                          : inside[i].first) +
                              std::string(" namespace");
    refuse(inside[i] == witness.namespaces[i], layer.c_str(), "sharing the supervisor's " + inside[i].second);
  }
  refuse(getpid() != 1, "pid namespace", "having another number than 1");
  refuse(witness.supervisor != 1 && kill(witness.supervisor, 0) == 0, "pid namespace",
         "a signal to the supervisor");
  refuse(can_connect_tcp(witness.tcp_port), "network namespace",
         "connecting to the supervisor's TCP listener");
  refuse(can_connect_abstract(witness.abstract_socket), "network namespace",
         "connecting to the supervisor's abstract socket");
  require_call(sethostname(kHostName, std::strlen(kHostName)), "uts namespace", "sethostname");
  utsname names{};
  uname(&names);
  refuse(std::strcmp(names.nodename, kHostName) != 0, "uts namespace", "keeping the host's name");
}

void check_private_root(const HostWitness& witness, const Interpreter& interpreter) {
  refuse(can_open(witness.canary_path, O_RDONLY), "private root",
         "reading the host's file " + witness.canary_path);
  refuse(can_open("/probe", O_CREAT | O_WRONLY), "private root", "creating a file in the root");
  refuse(can_open(interpreter.stdlib + "/os.py", O_WRONLY), "private root", "opening os.py for writing");
  refuse(can_open("/proc/self/status", O_RDONLY), "private root", "reading /proc");
}

void limit_capabilities(uint64_t kept) {
  constexpr const char* kLayer = "capabilities";
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  // The bounding set limits what may become inheritable, and dropping it takes a capability: so inheritable
  // first, then the bounding set, then the rest.
  constexpr uint64_t kAll = ~uint64_t{0};
  set_capabilities({.effective = kAll, .permitted = kAll, .inheritable = kept});
  for (int capability = 0; capability <= kLastCapability; ++capability) {
    if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) != 1) continue;
    require_call(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), kLayer, "prctl(PR_CAPBSET_DROP)");
  }
  set_capabilities({.effective = kept, .permitted = kept, .inheritable = kept});
  // An interpreter that is no root loses what is not ambient when it is executed.
  for (int capability = 0; capability <= kLastCapability; ++capability) {
    if ((kept >> capability & 1) == 0) continue;
    require_call(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), kLayer,
                 "prctl(PR_CAP_AMBIENT_RAISE)");
  }
}

void set_limits(bool count_processes) {
  const auto descriptors = static_cast<rlim_t>(kFixedLimits.descriptors);
  limit(RLIMIT_NOFILE, descriptors, descriptors);
  limit(RLIMIT_CORE, 0, 0);
  limit(RLIMIT_MEMLOCK, 0, 0);
  limit(RLIMIT_MSGQUEUE, 0, 0);
  limit(RLIMIT_NICE, 0, 0);
  limit(RLIMIT_RTPRIO, 0, 0);
  limit(RLIMIT_SIGPENDING, 256, 256);
  // The soft limit is what glibc gives a new thread; the zygote raises it for the main thread.
  limit(RLIMIT_STACK, 8 << 20, static_cast<rlim_t>(kFixedLimits.stack_mb) << 20);
  if (count_processes) {
    const auto tasks = static_cast<rlim_t>(kFixedLimits.threads + 1);  // the zygote counts, too
    limit(RLIMIT_NPROC, tasks, tasks);
  }
}

void forbid_new_privileges() {
  require_call(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs", "prctl(PR_SET_NO_NEW_PRIVS)");
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
    throw SetupFailure{"no_new_privs", "the flag is not set after prctl(PR_SET_NO_NEW_PRIVS)", 0};
  }
}

void load_filter(const std::string& code) {
  const sock_fprog program = {static_cast<unsigned short>(code.size() / sizeof(sock_filter)),
                              reinterpret_cast<sock_filter*>(const_cast<char*>(code.data()))};
  require_call(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), "seccomp",
               "prctl(PR_SET_SECCOMP)");
}

}  // namespace fathom::sandbox
