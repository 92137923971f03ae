#include "scorers/sandbox/cell_plan.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/sha256.h"
#include "scorers/sandbox/call_trace.h"
#include "scorers/sandbox/file_descriptor.h"
#include "scorers/sandbox/landlock.h"
#include "scorers/sandbox/python_sources.h"
#include "scorers/sandbox/seccomp_filter.h"
#include "scorers/sandbox/system_calls.h"

namespace fathom::sandbox {
namespace {

namespace fs = std::filesystem;

// Imported before the first fork: what HumanEval, MBPP and most answers import. Every module here is paid
// once per cell and saves its import in each sample; each resident page makes every fork a little dearer.
const std::vector<std::string> kPreloaded = {"typing",    "math",     "re",      "collections", "itertools",
                                             "functools", "string",   "heapq",   "bisect",      "random",
                                             "copy",      "datetime", "operator"};
constexpr int64_t kMiB = 1 << 20;

// Reads the configuration line and the source from descriptor 8. The empty entry of sys.path is the working
// folder.
constexpr const char* kBootstrap =
    "import sys,posix\n"
    "sys.path[:]=[p for p in sys.path if p]\n"
    "d=posix.pread(8,1<<24,0)\n"
    "posix.close(8)\n"
    "CONFIG,d=d.split(b'\\n',1)\n"
    "exec(compile(d,'<fathom>','exec'))\n";

std::vector<std::string> interpreter_arguments(const Interpreter& interpreter) {
  // -I would ignore PYTHONHASHSEED, too: texts would hash differently in every run.
  std::vector<std::string> argv = {interpreter.executable, "-S", "-s", "-B", "-X", "utf8"};
  if (interpreter.minor >= 11) argv.push_back("-P");
  argv.insert(argv.end(), {"-c", kBootstrap});
  return argv;
}

std::vector<std::string> environment(const std::string& folder) {
  return {"PATH=/usr/bin:/bin", "HOME=" + folder, "TMPDIR=" + folder, "TZ=UTC", "LC_ALL=C.UTF-8",
          "PYTHONHASHSEED=0",
          // One thread of a library is one thread of CPU time; one arena of the C library keeps the address
          // space small.
          "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1", "MALLOC_ARENA_MAX=1"};
}

// An outer user that nobody is: from the top of the ids that this user namespace knows, downwards.
uid_t unused_id(int index) {
  uint64_t top = 0;
  std::ifstream map("/proc/self/uid_map");
  for (uint64_t inner, outer, count; map >> inner >> outer >> count;) top = std::max(top, inner + count);
  // Ids near 2^32 have meanings of their own; containers map 65,536 ids, the last two of which are nobody's.
  uint64_t id = std::min<uint64_t>(top, 1900000000) - 16 - static_cast<uint64_t>(index);
  while (id > 1000 && getpwuid(static_cast<uid_t>(id)) != nullptr) id -= 4096;
  return static_cast<uid_t>(id);
}

std::string hex(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

nlohmann::json child_filters(Level level, int landlock_abi) {
  std::vector<std::string_view> refused;
  if (level == Level::kLandlock) refused = calls_past_landlock(landlock_abi);
  nlohmann::json filters;
  for (const auto& [name, processes] :
       {std::pair{"one", ChildProcesses::kOne}, {"many", ChildProcesses::kMany}}) {
    const ChildFilter filter = child_filter({.processes = processes, .refused = refused});
    filters[name] = {{"code", hex(filter.code)}, {"pid_offsets", filter.pid_offsets}};
  }
  return filters;
}

nlohmann::json child_call_numbers() {
  nlohmann::json numbers;
  for (const char* name :
       {"capget", "capset", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}) {
    numbers[name] = call_number(name);
  }
  return numbers;
}

std::string role_source(Role role) {
  std::string source(kCodecSource);
  source += kZygoteSource;
  if (role == Role::kRunner) {
    source += kRunnerSource;
    source += kProbeSource;
  } else {
    source += kProblemSource;
    source += kJudgeSource;
  }
  return source + "\nmain(json.loads(CONFIG))\n";
}

// Also what a program left without rights for its owner. A program's folder holds kFixedLimits.tmp_files at
// most, so the recursion is bounded.
void remove_content(int folder) {
  DIR* entries = fdopendir(dup(folder));
  if (entries == nullptr) return;
  while (const dirent* entry = readdir(entries)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (unlinkat(folder, entry->d_name, 0) == 0 || (errno != EISDIR && errno != EPERM)) continue;
    fchmodat(folder, entry->d_name, 0700, 0);
    const FileDescriptor inner(
        openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (inner) remove_content(inner.get());
    unlinkat(folder, entry->d_name, AT_REMOVEDIR);
  }
  closedir(entries);
}

void remove_folder(const std::string& path) {
  chmod(path.c_str(), 0700);
  const FileDescriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder) remove_content(folder.get());
  rmdir(path.c_str());
}

std::string sha256_hex(const std::string& text) {
  return to_hex(sha256(std::string_view(text)));
}

}  // namespace

HostFolder::HostFolder() {
  const char* base =
      std::getenv("TMPDIR");  // where this machine wants temporary files; not an option of fathom
  path_ = std::string(base != nullptr && base[0] == '/' ? base : "/tmp") + "/fathom-sandbox-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) {
    throw Error(ErrorKind::kEnvironment, fmt::format("mkdtemp {}: {}", path_, std::strerror(errno)),
                "sandbox: working folder");
  }
  chmod(path_.c_str(), 0711);  // other users may pass to their own folder below
}

HostFolder::~HostFolder() {
  remove_folder(path_);
}

CellPlan::CellPlan(const SandboxOptions& options, const Interpreter& interpreter, const HostWitness& witness)
    : options_(options), interpreter_(interpreter), visible_(visible_files(interpreter)), witness_(witness) {
  FATHOM_CHECK(options.level != Level::kAuto);
  choose_layers();
  if (level() == Level::kLandlock || level() == Level::kNone) folder_.emplace();
  if (level() == Level::kNone) return;
  runner_filter_ = zygote_filter({.python_minor = interpreter.minor, .mounts = level() == Level::kFull});
  judge_filter_ = zygote_filter({.python_minor = interpreter.minor, .mounts = false});
}

void CellPlan::choose_layers() {
  if (level() == Level::kFull || level() == Level::kBwrap) {
    if (level() == Level::kBwrap) layers_.push_back("bubblewrap");
    layers_.insert(layers_.end(), {"user namespace", "pid namespace", "mount namespace", "network namespace",
                                   "ipc namespace", "uts namespace", "cgroup namespace", "private root",
                                   "fresh /tmp", "capabilities"});
  }
  if (level() != Level::kNone) {
    layers_.insert(layers_.end(), {"no_new_privs", "seccomp"});
    landlock_abi_ = landlock_abi();
    if (landlock_abi_ > 0) {
      layers_.push_back("landlock");
    } else if (level() == Level::kLandlock) {
      throw SetupFailure{"landlock", landlock_absence(), 0};
    } else {
      warnings_.push_back("landlock: " + landlock_absence());
    }
  }
  if (level() != Level::kNone) {
    cgroups_ = find_cgroups();
    if (cgroups_.available()) {
      layers_.push_back("cgroup limits");
    } else {
      warnings_.push_back("cgroup limits: " + cgroups_.absence);
    }
  }
  if (geteuid() == 0) layers_.push_back("unused user");
  layers_.push_back("resource limits");
}

nlohmann::json CellPlan::zygote_config(Role role, const std::string& folder) const {
  const bool runner = role == Role::kRunner;
  const bool own_root = level() == Level::kFull || level() == Level::kBwrap;
  const bool full = level() == Level::kFull;
  nlohmann::json config = {
      {"preload", kPreloaded},
      {"tmp", folder},
      {"tmp_bytes", options_.limits.tmp_mb * kMiB},
      {"tmp_files", kFixedLimits.tmp_files},
      {"mountable", full && runner},
      {"watch", !full && runner},
      {"reap", own_root ? "namespace" : "children"},
      {"calls", child_call_numbers()},
      {"landlock", nullptr},
      {"child_filters", nlohmann::json::object()},
      {"count_processes", own_root || geteuid() == 0},
      {"drop_capabilities", full && runner},
      {"private_root", own_root},
      {"sized_tmp", own_root},
      {"environment", nlohmann::json::array()},
      {"limits",
       {{"descriptors", kFixedLimits.descriptors}, {"memory_bytes", options_.limits.memory_mb * kMiB}}},
      {"probe",
       {{"canary", witness_.canary_path},
        {"sealed", own_root ? std::vector<std::string>{"/sealed"}
                            : std::vector<std::string>{witness_.canary_path, "/proc", "/", "/etc/passwd"}}}},
  };
  for (const std::string& variable : environment(folder)) {
    config["environment"].push_back(variable.substr(0, variable.find('=')));
  }
  if (!runner || level() == Level::kNone) return config;
  config["child_filters"] = child_filters(level(), landlock_abi_);
  if (landlock_abi_ > 0) config["landlock"] = landlock_rules(landlock_abi_, visible_);
  return config;
}

ZygoteSpec CellPlan::zygote(int index, Role role) const {
  const bool runner = role == Role::kRunner;
  ZygoteSpec spec;
  spec.role = role;
  spec.level = level();
  spec.interpreter = interpreter_;
  spec.visible = visible_;
  spec.witness = witness_;
  spec.nice = options_.nice;
  spec.filter = runner ? runner_filter_ : judge_filter_;
  spec.tmp_bytes = options_.limits.tmp_mb * kMiB;
  spec.arguments = interpreter_arguments(interpreter_);
  if (geteuid() == 0) spec.outer_id = unused_id(2 * index + (runner ? 0 : 1));
  spec.cgroup_parent = cgroups_.parent;
  spec.cgroup_name = fmt::format("{}-{}", index, runner ? "runner" : "judge");
  spec.cgroup_limits = cgroup_limits(role, options_.limits);
  spec.folder = "/tmp";
  if (folder_) {
    spec.folder = fmt::format("{}/{}-{}", folder_->path(), index, runner ? "runner" : "judge");
    remove_folder(spec.folder);
    const bool made = mkdir(spec.folder.c_str(), 0700) == 0;
    if (!made || (spec.outer_id && chown(spec.folder.c_str(), *spec.outer_id, *spec.outer_id) != 0)) {
      throw SetupFailure{"working folder", "making " + spec.folder, errno};
    }
  }
  spec.environment = environment(spec.folder);
  spec.script = zygote_config(role, spec.folder).dump() + "\n" + role_source(role);
  return spec;
}

// Each process has its own limit of memory besides: this one is for all of a side together, its interpreter
// and the files in /tmp included.
CgroupLimits CellPlan::cgroup_limits(Role role, const Limits& limits) const {
  constexpr int64_t kInterpreterMb = 128;
  constexpr int64_t kInterpreterProcesses = 8;
  const int64_t memory_mb = role == Role::kRunner ? limits.memory_mb : kFixedLimits.judge_memory_mb;
  return {.memory_bytes = (memory_mb + limits.tmp_mb + kInterpreterMb) * kMiB,
          .processes = kFixedLimits.threads + limits.processes + kInterpreterProcesses};
}

std::string CellPlan::refused_at_start() const {
  if (level() == Level::kNone) return "no system call is refused at this level";
  std::string program = "import ctypes, gc, json, resource, select, _socket";
  for (const std::string& module : kPreloaded) program += ", " + module;
  std::string text;
  try {
    for (const std::string& name : refused_calls(interpreter_, program))
      text += (text.empty() ? "" : ", ") + name;
  } catch (const Error& error) {
    return error.message();
  }
  return text.empty() ? "the filter refuses none of its system calls" : "the filter refuses " + text;
}

nlohmann::json CellPlan::policy(const Limits& limits) const {
  nlohmann::json mounts = {
      {"folders", visible_.folders}, {"files", visible_.files}, {"hidden", visible_.hidden_folders}};
  std::vector<std::string> flags = interpreter_arguments(interpreter_);
  return {{"level", level_name(level())},
          {"layers", layers_},
          {"timing", timing_name(options_.timing)},
          {"limits", limits},
          {"fixed_limits",
           {{"tmp_files", kFixedLimits.tmp_files},
            {"descriptors", kFixedLimits.descriptors},
            {"threads", kFixedLimits.threads},
            {"stack_mb", kFixedLimits.stack_mb},
            {"judge_memory_mb", kFixedLimits.judge_memory_mb}}},
          {"mounts", level() == Level::kNone ? nlohmann::json() : mounts},
          {"environment", environment("/tmp")},
          {"interpreter_arguments", std::vector<std::string>(flags.begin() + 1, flags.end())},
          {"preloaded", kPreloaded},
          {"runner_filter_sha256", sha256_hex(runner_filter_)},
          {"judge_filter_sha256", sha256_hex(judge_filter_)},
          {"child_filters_sha256",
           level() == Level::kNone ? "" : sha256_hex(child_filters(level(), landlock_abi_).dump())},
          {"landlock_abi", landlock_abi_},
          {"runner_script_sha256", sha256_hex(role_source(Role::kRunner))},
          {"judge_script_sha256", sha256_hex(role_source(Role::kJudge))}};
}

const std::string& CellPlan::policy_hash(const Limits& limits) const {
  for (const auto& [known, hash] : hashes_) {
    if (known == limits) return hash;
  }
  hashes_.emplace_back(limits, sha256_hex(policy(limits).dump()));
  return hashes_.back().second;
}

nlohmann::json CellPlan::run_record() const {
  utsname names{};
  uname(&names);
  const bool readable = access(interpreter_.executable.c_str(), R_OK) == 0;
  return {{"level", level_name(level())},
          {"layers", layers_},
          {"warnings", warnings_},
          {"timing", timing_name(options_.timing)},
          {"kernel", std::string(names.sysname) + " " + names.release},
          {"interpreter",
           {{"path", interpreter_.executable},
            {"version", interpreter_.version},
            {"sha256", readable ? to_hex(sha256_file(interpreter_.executable)) : ""}}},
          {"policy_hash", policy_hash(options_.limits)},
          {"policy", policy(options_.limits)}};
}

}  // namespace fathom::sandbox
