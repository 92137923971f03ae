#include "scorers/sandbox/interpreter.h"

#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/error.h"
#include "scorers/sandbox/system_calls.h"

extern char** environ;

namespace fathom::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLayer = "sandbox: python";

// Old interpreters must be able to parse this far: the version is checked first.
constexpr const char* kQuestion = R"(
import sys
sys.path[:] = [p for p in sys.path if p]
v = sys.version_info
if sys.implementation.name != "cpython" or v < (3, 9):
    print("%s %d.%d.%d" % (sys.implementation.name, v[0], v[1], v[2]))
    sys.exit(3)
import ctypes, _ctypes, json, os, _socket, select, resource
try:
    maps = open("/proc/self/maps").read()
except OSError:
    maps = ""
paths = {line.split(None, 5)[5] for line in maps.splitlines() if len(line.split(None, 5)) == 6}
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable),
    "minor": v[1], "version": "%d.%d.%d" % tuple(v[:3]), "stdlib": os.path.dirname(os.__file__),
    "dynload": os.path.dirname(getattr(_ctypes, "__file__", "")) if hasattr(_ctypes, "__file__") else "",
    "libraries": sorted(p for p in paths if p.startswith("/") and ".so" in os.path.basename(p)),
}))
)";

std::string search_path(const std::string& name) {
  const char* path = std::getenv("PATH");  // as the shell would find it; not an option of fathom
  std::istringstream folders(path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

std::string locate(const std::string& python) {
  if (!python.empty()) {
    const std::string path = python.find('/') == std::string::npos ? search_path(python) : python;
    if (!path.empty() && access(path.c_str(), X_OK) == 0) return path;
    throw Error(
        ErrorKind::kEnvironment,
        fmt::format("'{}' is no program that can be started; name a CPython >= 3.9 with --python", python),
        kLayer);
  }
  if (access("/usr/bin/python3", X_OK) == 0) return "/usr/bin/python3";
  const std::string path = search_path("python3");
  if (!path.empty()) return path;
  throw Error(
      ErrorKind::kEnvironment,
      "no python3 in /usr/bin or PATH. Code tasks run the model's programs in CPython >= 3.9: install one "
      "(Debian: apt install python3) or name it with --python; --skip-unavailable runs the other tasks",
      kLayer);
}

struct Answer {
  int status = 0;
  std::string output;
  std::string errors;
};

std::string read_until_end(int fd, std::chrono::steady_clock::time_point deadline, bool& timed_out) {
  std::string text;
  char buffer[4096];
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd wait = {fd, POLLIN, 0};
    if (left.count() <= 0 || poll(&wait, 1, static_cast<int>(left.count())) == 0) {
      timed_out = true;
      return text;
    }
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > (1 << 20)) return text;
  }
}

Answer ask(const std::string& path) {
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) throw Error(ErrorKind::kEnvironment, std::strerror(errno), kLayer);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, out[1], 2);
  // -E -S -s: neither the caller's PYTHON* variables nor installed packages change the answer.
  std::string arguments[] = {path, "-E", "-S", "-s", "-B", "-X", "utf8", "-c", kQuestion};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  if (failed != 0) {
    close(out[0]);
    throw Error(ErrorKind::kEnvironment, fmt::format("{} cannot be started: {}", path, std::strerror(failed)),
                kLayer);
  }
  Answer answer;
  bool timed_out = false;
  answer.output =
      read_until_end(out[0], std::chrono::steady_clock::now() + std::chrono::seconds(60), timed_out);
  close(out[0]);
  if (timed_out) kill(pid, SIGKILL);
  while (waitpid(pid, &answer.status, 0) < 0 && errno == EINTR) {
  }
  if (timed_out) {
    throw Error(ErrorKind::kEnvironment, fmt::format("{} did not answer within 60 s", path), kLayer);
  }
  return answer;
}

// PT_INTERP of a 64-bit ELF file.
std::string elf_loader(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return {};
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return {};
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr entry{};
    file.seekg(static_cast<std::streamoff>(header.e_phoff) + i * header.e_phentsize);
    if (!file.read(reinterpret_cast<char*>(&entry), sizeof entry)) return {};
    if (entry.p_type != PT_INTERP || entry.p_filesz == 0 || entry.p_filesz > 4096) continue;
    std::string loader(entry.p_filesz - 1, '\0');
    file.seekg(static_cast<std::streamoff>(entry.p_offset));
    if (!file.read(loader.data(), static_cast<std::streamsize>(loader.size()))) return {};
    return loader;
  }
  return {};
}

bool is_below(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

bool is_covered(const std::string& path, const std::vector<std::string>& folders) {
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& f) { return is_below(path, f); });
}

void add_folder(VisibleFiles& visible, const std::string& folder) {
  if (folder.empty() || folder == "/" || !fs::is_directory(folder) || is_covered(folder, visible.folders))
    return;
  std::erase_if(visible.folders, [&](const std::string& other) { return is_below(other, folder); });
  visible.folders.push_back(folder);
}

// Makes `path` reachable as it is outside: its symbolic links, then the real file.
void add_path(VisibleFiles& visible, const std::string& path) {
  fs::path done;
  for (const fs::path& part : fs::path(path)) {
    done = done.empty() ? part : done / part;
    std::error_code error;
    if (is_covered(done.string(), visible.folders)) break;
    if (!fs::is_symlink(done, error)) continue;
    const fs::path target = fs::read_symlink(done, error);
    if (error) return;
    const std::pair<std::string, std::string> link = {done.string(), target.string()};
    if (std::find(visible.links.begin(), visible.links.end(), link) == visible.links.end()) {
      visible.links.push_back(link);
    }
    fs::path rest = fs::path(path).lexically_relative(done);
    fs::path next = target.is_absolute() ? target : done.parent_path() / target;
    if (rest != ".") next /= rest;
    add_path(visible, next.lexically_normal().string());
    return;
  }
  if (is_covered(path, visible.folders) || !fs::exists(path)) return;
  if (std::find(visible.files.begin(), visible.files.end(), path) == visible.files.end()) {
    visible.files.push_back(path);
  }
}

// The loader looks for a library by its name, which may be a symbolic link to the mapped file beside it.
void add_library(VisibleFiles& visible, const std::string& library) {
  if (is_covered(library, visible.folders)) return;
  add_path(visible, library);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(library).parent_path(), error)) {
    if (!entry.is_symlink(error)) continue;
    if (fs::canonical(entry.path(), error) == library && !error) add_path(visible, entry.path().string());
  }
}

}  // namespace

Interpreter find_interpreter(const std::string& python) {
  const std::string path = locate(python);
  const Answer answer = ask(path);
  std::string shown = answer.output.substr(0, 500);
  while (!shown.empty() && shown.back() == '\n') shown.pop_back();
  if (WIFEXITED(answer.status) && WEXITSTATUS(answer.status) == 3) {
    throw Error(ErrorKind::kEnvironment,
                fmt::format("{} is {}; code tasks need CPython >= 3.{}: install one or name it with --python",
                            path, shown, kOldestPythonMinor),
                kLayer);
  }
  const auto json = nlohmann::json::parse(answer.output, nullptr, false);
  if (answer.status != 0 || json.is_discarded()) {
    throw Error(
        ErrorKind::kEnvironment,
        fmt::format("{} cannot be used (it needs the modules ctypes, json, resource, select, socket of the "
                    "standard library); it said: {}",
                    path, shown),
        kLayer);
  }
  Interpreter found;
  json.at("executable").get_to(found.executable);
  json.at("minor").get_to(found.minor);
  json.at("version").get_to(found.version);
  json.at("stdlib").get_to(found.stdlib);
  json.at("dynload").get_to(found.dynload);
  json.at("libraries").get_to(found.libraries);
  found.loader = elf_loader(found.executable);
  return found;
}

VisibleFiles visible_files(const Interpreter& interpreter) {
  VisibleFiles visible;
  add_folder(visible, interpreter.stdlib);
  add_folder(visible, interpreter.dynload);
  for (const std::string& library : interpreter.libraries) {
    // Extension modules loaded later need libraries that are not mapped yet; they lie beside the C library.
    if (fs::path(library).filename().string().starts_with("libc.so")) {
      add_folder(visible, fs::path(library).parent_path().string());
    }
  }
  for (const std::string& library : interpreter.libraries) add_library(visible, library);
  add_path(visible, interpreter.executable);
  for (const std::string& path : {interpreter.loader, std::string("/etc/ld.so.cache")}) {
    if (!path.empty()) add_path(visible, path);
  }
  add_folder(visible, "/usr/share/zoneinfo");
  for (const char* name : {"site-packages", "dist-packages"}) {
    const std::string folder = interpreter.stdlib + "/" + name;
    if (fs::is_directory(folder)) visible.hidden_folders.push_back(folder);
  }
  return visible;
}

}  // namespace fathom::sandbox
