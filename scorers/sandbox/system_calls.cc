#include "scorers/sandbox/system_calls.h"

namespace fathom::sandbox {
namespace {

constexpr std::string_view kFiles[] = {
    "read",       "write",      "pread64",   "pwrite64",   "readv",
    "writev",     "preadv",     "pwritev",   "preadv2",    "pwritev2",
    "open",       "openat",     "creat",     "close",      "close_range",
    "stat",       "lstat",      "fstat",     "newfstatat", "fstatat64",
    "statx",      "statfs",     "fstatfs",   "access",     "faccessat",
    "faccessat2", "lseek",      "getdents",  "getdents64", "dup",
    "dup2",       "dup3",       "pipe",      "pipe2",      "mkdir",
    "mkdirat",    "rmdir",      "unlink",    "unlinkat",   "rename",
    "renameat",   "renameat2",  "symlink",   "symlinkat",  "readlink",
    "readlinkat", "chmod",      "fchmod",    "fchmodat",   "truncate",
    "ftruncate",  "fallocate",  "fsync",     "fdatasync",  "flock",
    "utime",      "utimes",     "utimensat", "futimesat",  "getcwd",
    "chdir",      "fchdir",     "umask",     "sendfile",   "copy_file_range",
    "fadvise64",  "getxattr",   "lgetxattr", "fgetxattr",  "listxattr",
    "llistxattr", "flistxattr",
};
constexpr std::string_view kMemory[] = {"mmap",    "munmap", "mremap", "mprotect",
                                        "madvise", "brk",    "msync",  "mincore"};
constexpr std::string_view kTimeAndSignals[] = {
    "clock_gettime", "clock_getres",  "clock_nanosleep", "nanosleep",    "gettimeofday", "time",
    "getitimer",     "setitimer",     "alarm",           "pause",        "rt_sigaction", "rt_sigprocmask",
    "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigreturn", "sigaltstack",  "restart_syscall",
};
constexpr std::string_view kOwnProcess[] = {
    "getpid",
    "getppid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getresuid",
    "getresgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getsid",
    "getrusage",
    "times",
    "uname",
    "sysinfo",
    "sched_yield",
    "sched_getaffinity",
    "sched_getscheduler",
    "sched_getparam",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "getpriority",
    "getcpu",
    "futex",
    "rseq",
    "membarrier",
    "set_robust_list",
    "set_tid_address",
    "getrandom",
    "getrlimit",
    "exit",
    "exit_group",
    "wait4",
    "waitid",
};
constexpr std::string_view kWaiting[] = {
    "poll",      "ppoll",      "select",      "pselect6",     "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd",      "eventfd2",
};
// What asyncio needs of sockets; there is no call here that makes or connects one (socketpair is for AF_UNIX
// only).
constexpr std::string_view kSockets[] = {"recvfrom", "getsockname", "getsockopt", "shutdown"};

struct MinorAddition {
  int minor;  ///< from this version on
  std::string_view call;
};
constexpr MinorAddition kAdditions[] = {
    {10, "splice"},  // os.splice
    {13, "timerfd_create"},
    {13, "timerfd_settime"},
    {13, "timerfd_gettime"},  // os.timerfd_create and kin
};

template <size_t kSize>
void append(std::vector<std::string_view>& calls, const std::string_view (&more)[kSize]) {
  calls.insert(calls.end(), more, more + kSize);
}

}  // namespace

std::vector<std::string_view> allowed_calls(int minor) {
  std::vector<std::string_view> calls;
  append(calls, kFiles);
  append(calls, kMemory);
  append(calls, kTimeAndSignals);
  append(calls, kOwnProcess);
  append(calls, kWaiting);
  append(calls, kSockets);
  for (const MinorAddition& addition : kAdditions) {
    if (minor >= addition.minor) calls.push_back(addition.call);
  }
  return calls;
}

std::vector<std::string_view> zygote_calls() {
  return {"fork",
          "vfork",
          "execve",
          "pidfd_open",
          "pidfd_send_signal",
          "sendmsg",
          "recvmsg",
          "arch_prctl",
          "capget",
          "capset",
          "landlock_create_ruleset",
          "landlock_add_rule",
          "seccomp",
          "setrlimit",
          "landlock_restrict_self"};
}

std::vector<std::string_view> calls_past_landlock(int abi) {
  std::vector<std::string_view> calls = {"chmod", "fchmod", "fchmodat",  "fchmodat2",
                                         "utime", "utimes", "utimensat", "futimesat"};
  if (abi < 3) calls.push_back("truncate");
  return calls;
}

std::vector<std::string_view> mount_calls() {
  return {"mount", "umount2"};
}

}  // namespace fathom::sandbox
