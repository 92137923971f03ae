#include "scorers/sandbox/bubblewrap.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

namespace fathom::sandbox {

std::string find_bubblewrap() {
  for (const char* path : {"/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"}) {
    if (access(path, X_OK) == 0) return path;
  }
  return {};
}

std::vector<std::string> bubblewrap_arguments(const ZygoteSpec& spec, int filter_fd, int info_fd) {
  std::vector<std::string> argv = {find_bubblewrap()};
  const auto add = [&argv](std::initializer_list<std::string> words) { argv.insert(argv.end(), words); };
  const std::string id = std::to_string(kInnerId);
  add({"--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
       "--unshare-cgroup"});
  add({"--uid", id, "--gid", id, "--hostname", kHostName, "--cap-drop", "ALL"});
  add({"--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"});
  for (const std::string& variable : spec.environment) {
    const size_t equals = variable.find('=');
    add({"--setenv", variable.substr(0, equals), variable.substr(equals + 1)});
  }
  for (const std::string& folder : spec.visible.folders) add({"--ro-bind", folder, folder});
  for (const std::string& file : spec.visible.files) add({"--ro-bind", file, file});
  for (const auto& [path, target] : spec.visible.links) add({"--symlink", target, path});
  for (const std::string& folder : spec.visible.hidden_folders) {
    add({"--size", "4096", "--tmpfs", folder, "--remount-ro", folder});
  }
  add({"--dir", "/sealed", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null"});
  add({"--size", std::to_string(spec.tmp_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"});
  add({"--seccomp", std::to_string(filter_fd), "--info-fd", std::to_string(info_fd), "--"});
  argv.insert(argv.end(), spec.arguments.begin(), spec.arguments.end());
  return argv;
}

void check_bubblewrap_namespaces(const std::string& info, const HostWitness& witness) {
  const auto json = nlohmann::json::parse(info, nullptr, false);
  if (!json.is_object()) throw SetupFailure{"bubblewrap", "it did not report its namespaces", 0};
  for (const auto& [name, own] : witness.namespaces) {
    const std::string layer = (name == "mnt" ? "mount" : name == "net" ? "network" : name) + " namespace";
    const auto found = json.find(name + "-namespace");
    if (found == json.end() || !found->is_number_unsigned()) {
      throw SetupFailure{layer, "bubblewrap did not report it", 0};
    }
    if (own == name + ":[" + std::to_string(found->get<uint64_t>()) + "]") {
      throw SetupFailure{layer, "sharing the supervisor's " + own + " was not refused", 0};
    }
  }
}

}  // namespace fathom::sandbox
