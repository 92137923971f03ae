#include "tests/scorers/sandbox/host_guard.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace fathom::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSecret = "the secret of the host\n";

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Everything about the canary that an attack could change.
std::string state_of(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) return "gone";
  std::ostringstream text;
  text << info.st_ino << " " << info.st_mode << " " << info.st_nlink << " " << info.st_size << " "
       << info.st_mtim.tv_sec << "." << info.st_mtim.tv_nsec << " " << read_text(path);
  return text.str();
}

FileDescriptor unix_listener(const std::string& name, bool abstract) {
  FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t begin = abstract ? 1 : 0;
  std::memcpy(address.sun_path + begin, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + begin + name.size());
  require(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(fd.get(), 8) == 0,
          "a Unix socket");
  return fd;
}

bool somebody_came(const FileDescriptor& listener) {
  const int fd = accept(listener.get(), nullptr, nullptr);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

}  // namespace

HostGuard::HostGuard() {
  require(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "PR_SET_CHILD_SUBREAPER");
  make_files();
  listen();
  start_victim();
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  facts_["HOSTNAME"] = name;
  facts_["HARNESS"] = std::to_string(getpid());
}

HostGuard::~HostGuard() {
  if (victim_ > 0) {
    kill(victim_, SIGKILL);
    waitpid(victim_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
  fs::remove_all(temporary_folder_, ignored);
  unsetenv("TMPDIR");
}

void HostGuard::make_files() {
  std::string pattern = "/tmp/fathom-guard-XXXXXX";
  std::string temporary = "/tmp/fathom-tmpdir-XXXXXX";
  require(mkdtemp(pattern.data()) != nullptr && mkdtemp(temporary.data()) != nullptr, "mkdtemp");
  folder_ = pattern;
  temporary_folder_ = temporary;
  chmod(pattern.c_str(), 0777);
  chmod(temporary.c_str(), 0777);
  setenv("TMPDIR", temporary.c_str(), 1);
  const std::string canary = pattern + "/canary";
  std::ofstream(canary) << kSecret;
  chmod(canary.c_str(), 0666);
  facts_["FOLDER"] = pattern;
  facts_["CANARY"] = canary;
  canary_state_ = state_of(canary);
}

void HostGuard::listen() {
  tcp_ = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  require(bind(tcp_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
              ::listen(tcp_.get(), 8) == 0 &&
              getsockname(tcp_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0,
          "a TCP listener");
  udp_ = FileDescriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  require(bind(udp_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0, "a UDP socket");
  facts_["PORT"] = std::to_string(ntohs(address.sin_port));
  facts_["ABSTRACT"] = "fathom-guard-" + std::to_string(getpid());
  abstract_ = unix_listener(facts_["ABSTRACT"], true);
  facts_["SOCKET"] = (folder_ / "socket").string();
  path_ = unix_listener(facts_["SOCKET"], false);
  chmod(facts_["SOCKET"].c_str(), 0777);
}

void HostGuard::start_victim() {
  victim_ = fork();
  require(victim_ >= 0, "fork");
  if (victim_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) pause();
  }
  facts_["VICTIM"] = std::to_string(victim_);
}

std::vector<std::string> HostGuard::damage() const {
  std::vector<std::string> found;
  const std::string now = state_of(facts_.at("CANARY"));
  if (now != canary_state_) found.push_back("the canary is now: " + now + "; it was: " + canary_state_);
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (name != "canary" && name != "socket") found.push_back("somebody made " + entry.path().string());
  }
  for (const char* path : {"/escaped", "/probe", "/dropped", "/dev/shm/escaped"}) {
    if (fs::exists(fs::symlink_status(path))) found.push_back(std::string("somebody made ") + path);
  }
  if (somebody_came(tcp_)) found.push_back("somebody connected to the TCP listener");
  if (somebody_came(abstract_)) found.push_back("somebody connected to the abstract socket");
  if (somebody_came(path_)) found.push_back("somebody connected to the socket file");
  char byte;
  if (recv(udp_.get(), &byte, 1, MSG_DONTWAIT) >= 0) found.push_back("somebody sent a datagram");
  int status = 0;
  if (waitpid(victim_, &status, WNOHANG | WUNTRACED) != 0) found.push_back("somebody signalled the victim");
  for (const pid_t pid : living_children(victim_))
    found.push_back("process " + std::to_string(pid) + " is left");
  for (const auto& entry : fs::directory_iterator(temporary_folder_)) {
    found.push_back("the temporary file " + entry.path().string() + " is left");
  }
  return found;
}

std::vector<pid_t> living_children(pid_t expected) {
  std::vector<pid_t> alive;
  for (int round = 0; round < 100; ++round) {
    alive.clear();
    std::ifstream file("/proc/self/task/" + std::to_string(getpid()) + "/children");
    for (pid_t pid; file >> pid;) {
      if (pid != expected && waitpid(pid, nullptr, WNOHANG) == 0) alive.push_back(pid);
    }
    if (alive.empty()) break;
    usleep(10000);
  }
  return alive;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> found;
  std::ifstream file(fmt::format("/proc/{}/task/{}/children", pid, pid));
  for (pid_t child; file >> child;) found.push_back(child);
  return found;
}

}  // namespace fathom::sandbox
