#include "tests/scorers/sandbox/as_user.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <sstream>
#include <stdexcept>

namespace fathom::sandbox {
namespace {

constexpr uid_t kNobodysId = 54321;

[[noreturn]] void work_and_report(int fd, const std::function<std::vector<std::string>()>& work) {
  std::string text;
  try {
    for (const std::string& line : work()) text += line + "\n";
  } catch (const std::exception& error) {
    text += std::string("exception: ") + error.what() + "\n";
  }
  text += "done";
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t n = write(fd, text.data() + sent, text.size() - sent);
    if (n <= 0) break;
    sent += static_cast<size_t>(n);
  }
  std::fflush(nullptr);
  _exit(0);
}

}  // namespace

std::vector<std::string> in_new_process(const std::function<std::vector<std::string>()>& work) {
  int fds[2];
  if (pipe(fds) != 0) throw std::runtime_error("pipe");
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid == 0) {
    close(fds[0]);
    work_and_report(fds[1], work);
  }
  close(fds[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(fds[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  close(fds[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  if (lines.empty() || lines.back() != "done") {
    lines.push_back("the process ended with status " + std::to_string(status) + " before its work was done");
    return lines;
  }
  lines.pop_back();
  return lines;
}

std::vector<std::string> as_ordinary_user(const std::function<std::vector<std::string>()>& work) {
  return in_new_process([&work]() -> std::vector<std::string> {
    if (setgroups(0, nullptr) != 0 || setresgid(kNobodysId, kNobodysId, kNobodysId) != 0 ||
        setresuid(kNobodysId, kNobodysId, kNobodysId) != 0) {
      return {std::string("cannot become an ordinary user: ") + std::strerror(errno)};
    }
    prctl(PR_SET_DUMPABLE, 1);  // as after an exec; else nothing of /proc/self belongs to this user
    return work();
  });
}

}  // namespace fathom::sandbox
