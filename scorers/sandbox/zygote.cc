#include "scorers/sandbox/zygote.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "scorers/sandbox/bubblewrap.h"
#include "scorers/sandbox/namespaces.h"
#include "scorers/sandbox/pipe.h"

namespace fathom::sandbox {
namespace {

// Where the interpreter finds its descriptors; python/zygote.py knows the first two.
constexpr int kControlTarget = 9;
constexpr int kScriptTarget = 8;
constexpr int kFilterTarget = 7;
constexpr int kInfoTarget = 6;
constexpr int kFirstHigh = 32;

// In the new process from here on.

struct Descriptors {
  int control;
  int script;
  int errors;
  int filter = -1;
  int info = -1;
};

void send_failure(int control, const SetupFailure& failure) {
  Report report;
  report.kind = ReportKind::kFailed;
  report.status = failure.error;
  const std::string text = failure.layer + "\n" + failure.what;
  std::memcpy(report.text, text.data(), std::min(text.size(), sizeof report.text - 1));
  (void)!write(control, &report, sizeof report);
}

void wait_for_go(int control) {
  char byte;
  if (read(control, &byte, 1) != 1) _exit(1);
}

void place_descriptors(const Descriptors& fds) {
  // First out of the way of the targets, then to them; what is not placed is closed.
  const auto high = [](int fd) { return fd < 0 ? -1 : fcntl(fd, F_DUPFD, kFirstHigh); };
  const std::pair<int, int> placed[] = {{high(fds.errors), 2},
                                        {high(fds.control), kControlTarget},
                                        {high(fds.script), kScriptTarget},
                                        {high(fds.filter), kFilterTarget},
                                        {high(fds.info), kInfoTarget}};
  const int null_fd = open("/dev/null", O_RDWR);
  require_call(null_fd, "private root", "opening /dev/null");
  dup2(null_fd, 0);
  dup2(null_fd, 1);
  for (int fd = 3; fd < kFirstHigh; ++fd) close(fd);
  for (const auto& [from, to] : placed) {
    if (from >= 0) dup2(from, to);
  }
  syscall(SYS_close_range, kControlTarget + 1, ~0U, 0);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> found;
  for (const std::string& word : words) found.push_back(const_cast<char*>(word.c_str()));
  found.push_back(nullptr);
  return found;
}

[[noreturn]] void execute(const std::vector<std::string>& arguments, const ZygoteSpec& spec) {
  execve(arguments[0].c_str(), pointers(arguments).data(), pointers(spec.environment).data());
  throw SetupFailure{"python", "execve " + arguments[0], errno};
}

void become_outer_id(const ZygoteSpec& spec) {
  if (!spec.outer_id) return;
  require_call(setgroups(0, nullptr), "user", "setgroups");
  become(*spec.outer_id, *spec.outer_id);
}

void start_full(const ZygoteSpec& spec, Descriptors& fds) {
  check_namespaces(spec.witness);
  PrivateRoot root(spec.visible);
  become(kInnerId, kInnerId);
  const bool runner = spec.role == Role::kRunner;
  root.enter(runner ? 0 : spec.tmp_bytes);
  if (!runner) require_call(chdir("/tmp"), "private root", "chdir /tmp");
  check_private_root(spec.witness, spec.interpreter);
  place_descriptors(fds);
  fds.control = kControlTarget;
  set_limits(true);
  limit_capabilities(runner ? uint64_t{1} << CAP_SYS_ADMIN : 0);
  // The parent death signal is cleared by changes of credentials, so it comes after the last of them.
  require_call(prctl(PR_SET_PDEATHSIG, SIGKILL), "pid namespace", "prctl(PR_SET_PDEATHSIG)");
  forbid_new_privileges();
  load_filter(spec.filter);
  execute(spec.arguments, spec);
}

void start_in_folder(const ZygoteSpec& spec, Descriptors& fds) {
  require_call(chdir(spec.folder.c_str()), "working folder", "chdir " + spec.folder);
  place_descriptors(fds);
  fds.control = kControlTarget;
  become_outer_id(spec);
  set_limits(spec.outer_id.has_value());
  require_call(prctl(PR_SET_PDEATHSIG, SIGKILL), "process", "prctl(PR_SET_PDEATHSIG)");
  if (spec.level == Level::kLandlock) {
    forbid_new_privileges();
    load_filter(spec.filter);
  }
  execute(spec.arguments, spec);
}

void start_bubblewrap(const ZygoteSpec& spec, Descriptors& fds) {
  place_descriptors(fds);
  fds.control = kControlTarget;
  become_outer_id(spec);
  set_limits(true);
  require_call(prctl(PR_SET_PDEATHSIG, SIGKILL), "process", "prctl(PR_SET_PDEATHSIG)");
  execute(bubblewrap_arguments(spec, kFilterTarget, kInfoTarget), spec);
}

[[noreturn]] void run_new_process(const ZygoteSpec& spec, Descriptors fds) {
  try {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number = 1; number < 32; ++number) signal(number, SIG_DFL);
    if (spec.nice != 0) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + spec.nice);
    // Before anything of the supervisor, the kernel should choose a candidate when the machine runs out of
    // memory.
    const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    const std::string_view points = spec.role == Role::kRunner ? "1000" : "500";
    if (score >= 0) (void)!write(score, points.data(), points.size());
    if (score >= 0) close(score);
    wait_for_go(fds.control);
    if (spec.level == Level::kFull) start_full(spec, fds);
    if (spec.level == Level::kBwrap) start_bubblewrap(spec, fds);
    start_in_folder(spec, fds);
  } catch (const SetupFailure& failure) {
    send_failure(fds.control, failure);
  }
  _exit(1);
}

}  // namespace

Zygote::Zygote(const ZygoteSpec& spec) {
  auto [ours, theirs] = make_socket_pair(SOCK_SEQPACKET);
  control_ = std::move(ours);
  const FileDescriptor script = make_memory_file("fathom-zygote", spec.script);
  errors_ = make_memory_file("fathom-errors", "");
  Descriptors fds = {theirs.get(), script.get(), errors_.get()};
  FileDescriptor filter;
  uint64_t flags = 0;
  if (spec.level == Level::kBwrap) {
    filter = make_memory_file("fathom-filter", spec.filter);
    info_ = make_memory_file("fathom-bwrap", "");
    fds.filter = filter.get();
    fds.info = info_.get();
  }
  if (spec.level == Level::kFull) {
    for (const NamespaceFlag& space : all_namespaces()) flags |= space.flag;
  }
  pid_ = clone_process(flags);
  if (pid_ == 0) {
    control_.reset();
    run_new_process(spec, fds);
  }
  if (pid_ < 0) {
    const int error = errno;
    if (flags != 0)
      throw refused_namespace().value_or(SetupFailure{"user namespace", "clone with all namespaces", error});
    throw Error(ErrorKind::kEnvironment, fmt::format("a new process: {}", std::strerror(error)), "sandbox");
  }
  try {
    if (!spec.cgroup_parent.folders.empty()) {
      cgroup_ = std::make_unique<Cgroup>(spec.cgroup_parent, spec.cgroup_name);
      cgroup_->set_limits(spec.cgroup_limits);
      cgroup_->add(pid_);
    }
    if (flags != 0) write_id_maps(pid_, spec.outer_id.value_or(getuid()), spec.outer_id.value_or(getgid()));
  } catch (const SetupFailure&) {
    end();
    throw;
  }
  (void)!::send(control_.get(), "g", 1, MSG_NOSIGNAL);
}

Zygote::~Zygote() {
  end();
}

void Zygote::end() {
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool send_order(int socket, const Order& order, std::span<const int> fds) {
  iovec part = {const_cast<Order*>(&order), sizeof order};
  alignas(cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
  FATHOM_CHECK(fds.size() <= 8, "{} descriptors", fds.size());
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  return sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof order);
}

std::optional<Received> receive_report(int socket, bool& gone) {
  Received received;
  iovec part = {&received.report, sizeof received.report};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (n != static_cast<ssize_t>(sizeof received.report)) {
    gone = true;
    return std::nullopt;
  }
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    int fd;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    received.fd = FileDescriptor(fd);
  }
  received.report.text[sizeof received.report.text - 1] = '\0';
  return received;
}

std::string Zygote::errors() const {
  return read_memory_file(errors_.get(), 2000);
}

std::string Zygote::bubblewrap_info() const {
  return info_ ? read_memory_file(info_.get(), 4000) : "";
}

}  // namespace fathom::sandbox
