#include "scorers/sandbox/cgroup.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "scorers/sandbox/setup.h"

namespace fathom::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLayer = "cgroup limits";
constexpr std::string_view kPrefix = "fathom-sandbox-";
constexpr int64_t kMiB = 1 << 20;

std::string group_name(pid_t supervisor, const std::string& name) {
  return fmt::format("{}{}-{}", kPrefix, supervisor, name);
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The kernel's answer comes with the write, so it must not be left to a destructor.
void write_value(const fs::path& path, const std::string& value) {
  errno = 0;
  std::ofstream file(path);
  if (file << value && file.flush()) return;
  throw SetupFailure{kLayer, fmt::format("writing {} to {}", value, path.string()), errno};
}

// A line of mountinfo: "36 35 98:0 /root /mount/point options - type source super,options".
struct Mount {
  fs::path root;
  fs::path point;
  std::string type;
  std::vector<std::string> options;
};

std::vector<Mount> cgroup_mounts(const std::string& text) {
  std::vector<Mount> mounts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream front(line.substr(0, dash)), back(line.substr(dash + 3));
    std::string word, root, point, source, options;
    Mount mount;
    front >> word >> word >> word >> root >> point;
    back >> mount.type >> source >> options;
    if (!mount.type.starts_with("cgroup")) continue;
    mount.root = root;
    mount.point = point;
    std::istringstream list(options);
    for (std::string option; std::getline(list, option, ',');) mount.options.push_back(option);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

// {controller: path}; "" is version 2. Lines: "4:memory:/a/b", "0::/a/b".
std::map<std::string, fs::path> own_groups(const std::string& text) {
  std::map<std::string, fs::path> groups;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::istringstream list(line.substr(first + 1, second - first - 1));
    const fs::path path = line.substr(second + 1);
    if (list.str().empty()) groups[""] = path;
    for (std::string controller; std::getline(list, controller, ',');) groups[controller] = path;
  }
  return groups;
}

// Where `group` is in the file system; empty when the mount does not show it.
fs::path folder_of(const Mount& mount, const fs::path& group) {
  const fs::path below = group.lexically_relative(mount.root);
  if (below.empty() || below.begin()->string() == "..") return {};
  return below == "." ? mount.point : mount.point / below;
}

// The status of a new process in `group` that runs `action`, as from waitpid.
template <typename Action>
int run_inside(Cgroup& group, Action action) {
  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) throw SetupFailure{kLayer, "pipe2", errno};
  const pid_t pid = fork();
  if (pid == 0) {
    char byte;
    close(go[1]);
    if (read(go[0], &byte, 1) != 1) _exit(1);
    _exit(action());
  }
  close(go[0]);
  const auto wait = [&] {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  };
  try {
    if (pid < 0) throw SetupFailure{kLayer, "fork", errno};
    group.add(pid);
  } catch (const SetupFailure&) {
    close(go[1]);
    if (pid > 0) wait();
    throw;
  }
  (void)!write(go[1], "g", 1);
  close(go[1]);
  return wait();
}

void prove(const CgroupParent& parent) {
  Cgroup group(parent, "proof");
  group.set_limits({.memory_bytes = 8 * kMiB, .processes = 1});
  const int second = run_inside(group, [] {
    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    return pid < 0 ? 0 : 1;
  });
  if (second != 0)
    throw SetupFailure{kLayer, "a second process was not refused in " + parent.folders[0].string(), 0};
  const int memory = run_inside(group, [] {
    constexpr size_t kTaken = 32 * kMiB;
    void* const taken = mmap(nullptr, kTaken, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (taken == MAP_FAILED) return 1;
    std::memset(taken, 1, kTaken);
    return 2;
  });
  if (!WIFSIGNALED(memory) || group.n_memory_kills() == 0) {
    throw SetupFailure{kLayer, "more memory than allowed was not refused in " + parent.folders[0].string(),
                       0};
  }
}

void remove_left_groups(const CgroupParent& parent) {
  for (const fs::path& folder : parent.folders) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with(kPrefix)) continue;
      const pid_t supervisor = std::atoi(name.c_str() + kPrefix.size());
      if (supervisor > 0 && kill(supervisor, 0) != 0 && errno == ESRCH) rmdir(entry.path().c_str());
    }
  }
}

}  // namespace

std::vector<CgroupParent> cgroup_candidates(const std::string& mounts, const std::string& own) {
  std::vector<CgroupParent> found;
  const std::vector<Mount> all_mounts = cgroup_mounts(mounts);
  const auto groups = own_groups(own);
  CgroupParent first_version = {.version = 1, .folders = {}};
  for (const Mount& mount : all_mounts) {
    if (mount.type == "cgroup2" && groups.contains("")) {
      // A group that holds processes cannot hand controllers down; the one above it may, and be ours, too.
      const fs::path folder = folder_of(mount, groups.at(""));
      if (folder.empty()) continue;
      found.push_back({.version = 2, .folders = {folder}});
      if (folder != mount.point) found.push_back({.version = 2, .folders = {folder.parent_path()}});
    }
  }
  for (const char* controller : {"memory", "pids"}) {
    for (const Mount& mount : all_mounts) {
      const auto& options = mount.options;
      const bool right =
          mount.type == "cgroup" && std::find(options.begin(), options.end(), controller) != options.end();
      if (!right || !groups.contains(controller)) continue;
      const fs::path folder = folder_of(mount, groups.at(controller));
      if (!folder.empty()) first_version.folders.push_back(folder);
    }
  }
  if (first_version.folders.size() == 2) found.push_back(first_version);
  return found;
}

CgroupOffer find_cgroups() {
  CgroupOffer offer;
  offer.absence = "no cgroup v2 tree and no memory and pids controllers of version 1 are mounted";
  for (const CgroupParent& candidate :
       cgroup_candidates(read_text("/proc/self/mountinfo"), read_text("/proc/self/cgroup"))) {
    try {
      remove_left_groups(candidate);
      prove(candidate);
      offer.parent = candidate;
      offer.absence.clear();
      return offer;
    } catch (const SetupFailure& failure) {
      offer.absence = failure.what;
      if (failure.error != 0) offer.absence += fmt::format(": {}", std::strerror(failure.error));
    }
  }
  return offer;
}

Cgroup::Cgroup(const CgroupParent& parent, const std::string& name) : version_(parent.version) {
  for (const fs::path& above : parent.folders) {
    const fs::path folder = above / group_name(getpid(), name);
    if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
      const int error = errno;
      for (const fs::path& made : folders_) rmdir(made.c_str());
      throw SetupFailure{kLayer, "mkdir " + folder.string(), error};
    }
    folders_.push_back(folder);
  }
}

// Members that are still on their way out, of a killed program for example, are waited for.
Cgroup::~Cgroup() {
  constexpr int kTries = 200;
  for (const fs::path& folder : folders_) {
    for (int i = 0; i < kTries && rmdir(folder.c_str()) != 0 && errno == EBUSY; ++i) {
      std::istringstream members(read_text(folder / "cgroup.procs"));
      for (pid_t pid; members >> pid;) kill(pid, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

fs::path Cgroup::folder(const char* controller) const {
  return version_ == 2 || std::string_view(controller) == "memory" ? folders_.front() : folders_.back();
}

void Cgroup::set_limits(const CgroupLimits& limits) {
  if (limits == limits_) return;
  const fs::path memory = folder("memory");
  write_value(memory / (version_ == 2 ? "memory.max" : "memory.limit_in_bytes"),
              std::to_string(limits.memory_bytes));
  if (version_ == 2 && fs::exists(memory / "memory.swap.max")) write_value(memory / "memory.swap.max", "0");
  write_value(folder("pids") / "pids.max", std::to_string(limits.processes));
  limits_ = limits;
}

void Cgroup::add(pid_t pid) {
  for (const fs::path& folder : folders_) write_value(folder / "cgroup.procs", std::to_string(pid));
}

int64_t Cgroup::n_memory_kills() const {
  std::istringstream words(
      read_text(folder("memory") / (version_ == 2 ? "memory.events" : "memory.oom_control")));
  int64_t count = 0;
  for (std::string word; words >> word;) {
    if (word == "oom_kill") words >> count;
  }
  return count;
}

}  // namespace fathom::sandbox
