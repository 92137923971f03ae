#include "tests/scorers/sandbox/absence.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace fathom::sandbox {
namespace {

void require(bool done, const std::string& what) {
  if (!done) throw std::runtime_error(what + ": " + std::strerror(errno));
}

bool write_file(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) close(fd);
  return written;
}

// A process outside may map more than one user; one inside only itself.
void enter_user_namespace(int more_flags) {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  const std::string ids = user == 0 ? "0 0 65536" : std::to_string(user) + " " + std::to_string(user) + " 1";
  const std::string groups =
      user == 0 ? "0 0 65536" : std::to_string(group) + " " + std::to_string(group) + " 1";
  const std::string mine = "/proc/" + std::to_string(getpid());
  int ready[2];
  require(pipe(ready) == 0, "pipe");
  const pid_t helper = fork();
  if (helper == 0) {
    char byte;
    const bool told = read(ready[0], &byte, 1) == 1;
    const bool mapped = told && (user == 0 || write_file(mine + "/setgroups", "deny")) &&
                        write_file(mine + "/uid_map", ids) && write_file(mine + "/gid_map", groups);
    _exit(mapped ? 0 : 1);
  }
  require(unshare(CLONE_NEWUSER | more_flags) == 0, "unshare");
  require(write(ready[1], "g", 1) == 1, "pipe");
  int status = 0;
  while (waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  close(ready[0]);
  close(ready[1]);
  if (status != 0) throw std::runtime_error("the user namespace got no id maps");
}

}  // namespace

void refuse_calls(const std::vector<RefusedCall>& calls) {
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ALLOW),
                                                                 &seccomp_release);
  require(filter != nullptr, "seccomp_init");
  // Root can do without, which leaves no_new_privs to be tried.
  if (geteuid() == 0)
    require(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0) == 0, "SCMP_FLTATR_CTL_NNP");
  for (const RefusedCall& call : calls) {
    const int number = seccomp_syscall_resolve_name(call.name.c_str());
    if (number == __NR_SCMP_ERROR) throw std::runtime_error("unknown system call " + call.name);
    scmp_arg_cmp compare{};
    if (call.only_if && call.only_if->other) {
      compare = {call.only_if->argument, SCMP_CMP_NE, call.only_if->value, 0};
    } else if (call.only_if) {
      compare = {call.only_if->argument, SCMP_CMP_MASKED_EQ, call.only_if->mask, call.only_if->value};
    }
    const int status = seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(static_cast<uint16_t>(call.error)),
                                              number, call.only_if ? 1 : 0, &compare);
    if (status != 0) throw std::runtime_error("a rule for " + call.name);
  }
  const int status = seccomp_load(filter.get());
  if (status != 0) throw std::runtime_error("seccomp_load: " + std::string(std::strerror(-status)));
}

void forbid_namespaces(const std::string& name) {
  enter_user_namespace(0);
  const std::string path = "/proc/sys/user/max_" + name + "_namespaces";
  require(write_file(path, "0"), path);
}

void hide_file(const std::string& path) {
  if (geteuid() == 0) {
    require(unshare(CLONE_NEWNS) == 0, "unshare");
  } else {
    enter_user_namespace(CLONE_NEWNS);
  }
  require(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
  require(mount("/dev/null", path.c_str(), nullptr, MS_BIND, nullptr) == 0, "hiding " + path);
}

}  // namespace fathom::sandbox
