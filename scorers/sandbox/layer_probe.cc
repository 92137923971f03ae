#include "scorers/sandbox/layer_probe.h"

#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <optional>

#include "base/error.h"
#include "scorers/sandbox/bubblewrap.h"
#include "scorers/sandbox/cgroup.h"
#include "scorers/sandbox/landlock.h"
#include "scorers/sandbox/namespaces.h"
#include "scorers/sandbox/options.h"
#include "scorers/sandbox/pipe.h"
#include "scorers/sandbox/preflight.h"
#include "scorers/sandbox/seccomp_filter.h"
#include "scorers/sandbox/setup.h"
#include "scorers/sandbox/system_calls.h"

namespace fathom::sandbox {
namespace {

// Runs `attempt` in a new process in the namespaces of `flags`; what it throws, or nothing.
class Attempt {
 public:
  Attempt(uint64_t flags, const std::function<void()>& attempt) {
    Pipe go = make_pipe(), answer = make_pipe();
    const pid_t pid = clone_process(flags);
    if (pid == 0) {
      go.write_end.reset();
      in_child(go.read_end.get(), answer.write_end.get(), attempt);
    }
    if (pid < 0) {
      failure_ = SetupFailure{"", "clone", errno};
      return;
    }
    go.read_end.reset();
    answer.write_end.reset();
    try {
      if (flags & CLONE_NEWUSER) write_id_maps(pid, getuid(), getgid());
      (void)!write(go.write_end.get(), "g", 1);
    } catch (const SetupFailure& failure) {
      failure_ = failure;
    }
    go.write_end.reset();
    read_answer(answer.read_end.get());
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!failure_ && status != 0) failure_ = SetupFailure{"", "the process that tried it died", 0};
  }

  const std::optional<SetupFailure>& failure() const { return failure_; }

 private:
  [[noreturn]] static void in_child(int go, int answer, const std::function<void()>& attempt) {
    char byte;
    if (read(go, &byte, 1) != 1) _exit(0);  // the parent knows why
    try {
      attempt();
    } catch (const SetupFailure& failure) {
      const std::string text = std::to_string(failure.error) + " " + failure.what;
      (void)!write(answer, text.data(), text.size());
    }
    _exit(0);
  }

  void read_answer(int fd) {
    char buffer[1024];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return;
    const std::string text(buffer, static_cast<size_t>(n));
    const size_t space = text.find(' ');
    failure_ = SetupFailure{"", text.substr(space + 1), std::stoi(text.substr(0, space))};
  }

  std::optional<SetupFailure> failure_;
};

LayerFinding finding(const std::string& layer, uint64_t flags, const std::function<void()>& attempt,
                     const std::string& note = "") {
  std::optional<SetupFailure> failure = Attempt(flags, attempt).failure();
  if (!failure) return {layer, true, note};
  failure->layer = layer;
  const std::string text = describe(*failure).substr(layer.size() + 2);
  return {layer, false, text + ". " + remedy(*failure)};
}

void try_seccomp() {
  forbid_new_privileges();
  load_filter(zygote_filter({.python_minor = kOldestPythonMinor, .mounts = false}));
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd >= 0) throw SetupFailure{"seccomp", "socket was not refused by the filter", 0};
}

void try_limits() {
  set_limits(false);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max > static_cast<rlim_t>(kFixedLimits.descriptors)) {
    throw SetupFailure{"resource limits", "setrlimit had no effect", 0};
  }
}

void try_tmp() {
  require_call(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "fresh /tmp",
               "making the mounts private");
  require_call(mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m,nr_inodes=16"),
               "fresh /tmp", "mounting a tmpfs");
}

LayerFinding private_root(const Interpreter* interpreter) {
  if (interpreter == nullptr)
    return {"private root", false, "cannot be tried without an interpreter to show in it"};
  return finding("private root", CLONE_NEWUSER | CLONE_NEWNS, [interpreter] {
    PrivateRoot root(visible_files(*interpreter));
    become(kInnerId, kInnerId);
    root.enter(0);
  });
}

LayerFinding landlock() {
  const int abi = landlock_abi();
  if (abi > 0) return {"landlock", true, fmt::format("interface {}", abi)};
  return {"landlock", false, landlock_absence() + "; optional at levels full and bwrap"};
}

LayerFinding cgroup_limits() {
  const CgroupOffer offer = find_cgroups();
  if (!offer.available()) return {"cgroup limits", false, offer.absence + "; optional at every level"};
  return {"cgroup limits", true,
          fmt::format("version {}, below {}", offer.parent.version, offer.parent.folders.front().string())};
}

LayerFinding bubblewrap() {
  const std::string path = find_bubblewrap();
  if (!path.empty()) return {"bubblewrap", true, path};
  return {"bubblewrap", false, "not installed (Debian: apt install bubblewrap); only level bwrap needs it"};
}

}  // namespace

std::vector<LayerFinding> probe_layers(const Interpreter* interpreter) {
  std::vector<LayerFinding> found;
  for (const NamespaceFlag& space : all_namespaces()) {
    found.push_back(finding(space.layer, CLONE_NEWUSER | space.flag, [] {}));
  }
  found.push_back(private_root(interpreter));
  found.push_back(finding("fresh /tmp", CLONE_NEWUSER | CLONE_NEWNS, try_tmp));
  found.push_back(finding("capabilities", CLONE_NEWUSER, [] { limit_capabilities(0); }));
  found.push_back(finding("no_new_privs", 0, forbid_new_privileges));
  found.push_back(finding("seccomp", 0, try_seccomp));
  found.push_back(landlock());
  found.push_back(finding("resource limits", 0, try_limits));
  found.push_back(cgroup_limits());
  found.push_back(bubblewrap());
  return found;
}

}  // namespace fathom::sandbox
