#include "scorers/sandbox/preflight.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "scorers/sandbox/bubblewrap.h"

namespace fathom::sandbox {
namespace {

[[noreturn]] void throw_errno(const char* what) {
  throw Error(ErrorKind::kEnvironment, fmt::format("{}: {}", what, std::strerror(errno)),
              "sandbox: preflight");
}

std::string first_word_of(const char* path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

std::string namespace_remedy(const SetupFailure& failure) {
  const std::string kind = failure.layer.substr(0, failure.layer.find(' '));
  if (failure.error == ENOSPC) {
    const std::string name = kind == "mount" ? "mnt" : kind == "network" ? "net" : kind;
    return fmt::format("the limit user.max_{}_namespaces is used up or 0: raise it with sysctl", name);
  }
  if (first_word_of("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "AppArmor restricts unprivileged user namespaces here: install bubblewrap (its profile allows "
           "them) and use "
           "--sandbox=bwrap, or run as root";
  }
  if (first_word_of("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "sysctl kernel.unprivileged_userns_clone=1 allows user namespaces, or run as root";
  }
  return "a container's filter often refuses namespaces (Docker: start it with --security-opt "
         "seccomp=unconfined, or run "
         "fathom outside); or install bubblewrap; or accept the weaker --sandbox=landlock";
}

}  // namespace

PreflightHost::PreflightHost() {
  tcp_ = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  // A machine without a loopback device has nothing to protect there.
  if (tcp_ && bind(tcp_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      listen(tcp_.get(), 1) == 0 &&
      getsockname(tcp_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    witness_.tcp_port = ntohs(address.sin_port);
  }
  witness_.abstract_socket = fmt::format("fathom-preflight-{}", getpid());
  abstract_ = FileDescriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path + 1, witness_.abstract_socket.data(), witness_.abstract_socket.size());
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + witness_.abstract_socket.size());
  if (!abstract_ || bind(abstract_.get(), reinterpret_cast<sockaddr*>(&local), length) != 0 ||
      listen(abstract_.get(), 1) != 0) {
    throw_errno("an abstract Unix socket");
  }
  const char* base =
      std::getenv("TMPDIR");  // where this machine wants temporary files; not an option of fathom
  witness_.canary_path =
      std::string(base != nullptr && base[0] == '/' ? base : "/tmp") + "/fathom-canary-XXXXXX";
  const int fd = mkostemp(witness_.canary_path.data(), O_CLOEXEC);
  if (fd < 0) throw_errno("a temporary file");
  if (fchmod(fd, 0644) != 0) throw_errno("fchmod");  // only the confinement may keep it from being read
  close(fd);
  witness_.supervisor = getpid();
  witness_.namespaces = own_namespaces();
}

PreflightHost::~PreflightHost() {
  unlink(witness_.canary_path.c_str());
}

void check_probe(const std::string& report, int status, const CellPlan& plan) {
  // With a filter the probe ends by the SIGSYS of its last attempt, a fork.
  const bool filtered = plan.level() != Level::kNone;
  const auto findings = nlohmann::json::parse(report, nullptr, false);
  if (findings.is_discarded() || !findings.is_array()) {
    if (report.ends_with("forked")) throw SetupFailure{"seccomp", "fork was not refused", 0};
    throw SetupFailure{"preflight", fmt::format("the probe gave no report (status {:#x})", status), 0};
  }
  std::set<std::string> tried;
  for (const auto& finding : findings) {
    const auto layer = finding.at(0).get<std::string>();
    tried.insert(layer);
    if (!finding.at(2).is_null()) {
      throw SetupFailure{layer, finding.at(1).get<std::string>() + ": " + finding.at(2).get<std::string>(),
                         0};
    }
  }
  if (filtered && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)) {
    throw SetupFailure{"seccomp", fmt::format("fork did not end the process (status {:#x})", status), 0};
  }
  for (const std::string& layer : plan.layers()) {
    // Namespaces and the root are tried by the process itself before its filter hides them (setup.h), control
    // groups by the supervisor (cgroup.h).
    const bool tried_earlier = layer.ends_with("namespace") || layer == "bubblewrap" ||
                               layer == "unused user" || layer == "cgroup limits";
    if (!tried_earlier && !tried.contains(layer))
      throw SetupFailure{layer, "the preflight did not try it", 0};
  }
}

void check_bubblewrap(const Zygote& zygote, const CellPlan& plan) {
  check_bubblewrap_namespaces(zygote.bubblewrap_info(), plan.witness());
}

std::string describe(const SetupFailure& failure) {
  std::string text = failure.layer;
  if (!failure.what.empty()) text += ": " + failure.what;
  if (failure.error != 0)
    text += fmt::format(" failed: {} ({})", strerrorname_np(failure.error), std::strerror(failure.error));
  return text;
}

std::string remedy(const SetupFailure& failure) {
  if (failure.layer.ends_with("namespace")) return namespace_remedy(failure);
  if (failure.layer == "landlock")
    return "boot a kernel >= 5.13 with landlock in its lsm= list, or use --sandbox=full";
  if (failure.layer == "seccomp")
    return "the kernel needs CONFIG_SECCOMP_FILTER; some container runtimes hide it";
  if (failure.layer == "bubblewrap") return "install it (Debian: apt install bubblewrap)";
  if (failure.layer == "private root") {
    return "mounts are refused here (a container's filter or AppArmor?): install bubblewrap and use "
           "--sandbox=bwrap; the "
           "interpreter and its library must be readable by every user";
  }
  if (failure.layer == "python") return "name another CPython >= 3.9 with --python";
  return "this kernel or a filter around fathom does not enforce it: run outside that container or in a "
         "virtual machine";
}

Error environment_error(const SetupFailure& failure, Level level) {
  return Error(
      ErrorKind::kEnvironment,
      fmt::format("level {} refused: {}. {}. --skip-unavailable runs everything that needs no sandbox",
                  level_name(level), describe(failure), remedy(failure)),
      "sandbox");
}

}  // namespace fathom::sandbox
