#include "scorers/sandbox/call_trace.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "scorers/sandbox/seccomp_filter.h"
#include "scorers/sandbox/setup.h"

namespace fathom::sandbox {
namespace {

[[noreturn]] void throw_untraceable(const std::string& why) {
  throw Error(ErrorKind::kEnvironment, "the interpreter's system calls cannot be traced: " + why,
              "sandbox: python");
}

[[noreturn]] void run_traced(const Interpreter& interpreter, const std::string& program,
                             const std::string& filter) {
  const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) dup2(null_fd, fd);
  if (chdir("/") != 0 || ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(127);
  raise(SIGSTOP);  // until the options are set
  try {
    forbid_new_privileges();
    load_filter(filter);
  } catch (const SetupFailure&) {
    _exit(127);
  }
  const std::string flags[] = {interpreter.executable, "-S", "-s", "-B", "-X", "utf8", "-c", program};
  std::vector<char*> argv;
  for (const std::string& flag : flags) argv.push_back(const_cast<char*>(flag.c_str()));
  argv.push_back(nullptr);
  char* const environment[] = {const_cast<char*>("PATH=/usr/bin:/bin"), const_cast<char*>("LC_ALL=C.UTF-8"),
                               nullptr};
  execve(argv[0], argv.data(), environment);
  _exit(127);
}

// The number of the call at which `pid` stopped.
int stopped_call(pid_t pid) {
  __ptrace_syscall_info info{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return -1;
  return static_cast<int>(info.seccomp.nr);
}

void follow(pid_t pid, std::vector<std::string>& names) {
  for (int status; waitpid(pid, &status, 0) == pid;) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    if (WIFEXITED(status)) throw_untraceable(fmt::format("it ended with status {}", WEXITSTATUS(status)));
    if (WIFSIGNALED(status)) throw_untraceable(fmt::format("it ended by signal {}", WTERMSIG(status)));
    int deliver = WSTOPSIG(status);
    if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8))) {
      const std::string name = call_name(stopped_call(pid));
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      deliver = 0;
    } else if (deliver == SIGTRAP) {
      deliver = 0;  // after execve
    }
    ptrace(PTRACE_CONT, pid, nullptr, deliver);
  }
  throw_untraceable(std::strerror(errno));
}

}  // namespace

std::vector<std::string> refused_calls(const Interpreter& interpreter, const std::string& program) {
  const std::string filter =
      zygote_filter({.python_minor = interpreter.minor, .mounts = false, .refusal = Refusal::kStopForTracer});
  const pid_t pid = fork();
  if (pid == 0) run_traced(interpreter, program, filter);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
    throw_untraceable("ptrace is refused here");
  constexpr long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;
  std::vector<std::string> names;
  try {
    if (ptrace(PTRACE_SETOPTIONS, pid, nullptr, kOptions) != 0) throw_untraceable(std::strerror(errno));
    ptrace(PTRACE_CONT, pid, nullptr, 0);
    follow(pid, names);
  } catch (const Error&) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    throw;
  }
  return names;
}

const std::string& typical_imports() {
  static const std::string kProgram = R"(
import array, ast, asyncio, base64, bisect, calendar, cmath, collections, concurrent.futures, contextlib, copy
import ctypes, dataclasses, datetime, decimal, difflib, enum, fractions, functools, glob, hashlib, heapq, inspect
import io, itertools, json, logging, math, operator, os, pathlib, pickle, pprint, queue, random, re, secrets
import shutil, signal, statistics, string, struct, sys, tempfile, textwrap, threading, time, traceback, types
import typing, unicodedata, unittest, uuid, warnings, weakref, zlib
random.random(), secrets.token_bytes(8), time.sleep(0), time.time(), os.urandom(4), os.listdir('.')
threads = [threading.Thread(target=print, args=(1,)) for _ in range(3)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
asyncio.run(asyncio.sleep(0.001))
with concurrent.futures.ThreadPoolExecutor(2) as pool: list(pool.map(abs, range(10)))
bytearray(1 << 22), decimal.Decimal(2).sqrt(), hashlib.sha256(b'x').hexdigest(), datetime.datetime.now()
)";
  return kProgram;
}

}  // namespace fathom::sandbox
