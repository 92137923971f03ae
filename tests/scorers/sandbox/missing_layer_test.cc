// Fail closed: a layer that the kernel refuses, or only pretends to give, stops the start with an error that
// names it and says what to do. The facility is really taken away, in a process made for it.
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "scorers/sandbox/bubblewrap.h"
#include "scorers/sandbox/sandbox.h"
#include "tests/scorers/sandbox/absence.h"
#include "tests/scorers/sandbox/as_user.h"
#include "tests/scorers/sandbox/attack_run.h"
#include "tests/temporary_folder.h"

namespace fathom::sandbox {
namespace {

struct Absence {
  const char* name;
  std::vector<RefusedCall> calls;
  const char* layer;  // as the error names it
  bool root_only = false;
};

RefusedCall when(const char* name, int error, uint64_t value) {
  return {name, error, RefusedCall::Condition{0, ~0ull, value}};
}
RefusedCall with_flag(const char* name, int error, uint64_t flag) {
  return {name, error, RefusedCall::Condition{0, flag, flag}};
}

// A container's filter: clone3 cannot be looked into, clone with the flag is refused.
std::vector<RefusedCall> no_namespace(uint64_t flag) {
  return {{"clone3", ENOSYS, {}}, with_flag("clone", EPERM, flag)};
}

const std::vector<Absence>& absences() {
  static const std::vector<Absence> kAbsences = {
      {"user_namespace", no_namespace(CLONE_NEWUSER), "user namespace"},
      {"pid_namespace", no_namespace(CLONE_NEWPID), "pid namespace"},
      {"mount_namespace", no_namespace(CLONE_NEWNS), "mount namespace"},
      {"network_namespace", no_namespace(CLONE_NEWNET), "network namespace"},
      {"ipc_namespace", no_namespace(CLONE_NEWIPC), "ipc namespace"},
      {"uts_namespace", no_namespace(CLONE_NEWUTS), "uts namespace"},
      {"cgroup_namespace", no_namespace(CLONE_NEWCGROUP), "cgroup namespace"},
      {"host_name_not_set", {{"sethostname", 0, {}}}, "uts namespace"},
      {"mounts", {{"mount", EPERM, {}}}, "private root"},
      {"trees_of_mounts", {{"open_tree", ENOSYS, {}}}, "private root"},
      {"moved_mounts", {{"move_mount", EPERM, {}}}, "private root"},
      {"mount_attributes", {{"mount_setattr", ENOSYS, {}}}, "private root"},
      {"mount_attributes_not_set", {{"mount_setattr", 0, {}}}, "private root"},
      {"root_change", {{"pivot_root", EPERM, {}}}, "private root"},
      {"root_not_changed", {{"pivot_root", 0, {}}}, "private root"},
      {"user_change", {{"setresuid", EPERM, {}}}, "user namespace"},
      {"user_not_changed", {{"setresuid", 0, {}}}, "user namespace", true},  // others are it already
      {"capability_drop", {{"capset", EPERM, {}}}, "capabilities"},
      {"capabilities_not_dropped", {{"capset", 0, {}}}, "capabilities"},
      {"bounding_set_not_dropped", {when("prctl", 0, PR_CAPBSET_DROP)}, "capabilities"},
      {"no_new_privs", {when("prctl", EINVAL, PR_SET_NO_NEW_PRIVS)}, "no_new_privs", true},
      {"no_new_privs_not_set", {when("prctl", 0, PR_SET_NO_NEW_PRIVS)}, "no_new_privs", true},
      {"seccomp", {when("prctl", EINVAL, PR_SET_SECCOMP)}, "seccomp"},
      {"seccomp_not_loaded", {when("prctl", 0, PR_SET_SECCOMP)}, "seccomp"},
      {"landlock_not_entered", {{"landlock_restrict_self", 0, {}}}, "landlock"},
      {"landlock_rules", {{"landlock_add_rule", EPERM, {}}}, "landlock"},
      {"limits", {{"prlimit64", EPERM, {}}, {"setrlimit", EPERM, {}}}, "resource limits"},
      // Only where new limits are given: the old ones can still be asked for.
      {"limits_not_set",
       {{"prlimit64", 0, RefusedCall::Condition{2, 0, 0, true}}, {"setrlimit", 0, {}}},
       "resource limits"},
  };
  return kAbsences;
}

// What is wrong with the way in which `level` is refused; empty when the error is what it should be.
std::vector<std::string> check_refusal(Level level, const std::vector<std::string>& words) {
  SandboxOptions options;
  options.level = level;
  options.n_workers = 1;
  try {
    Sandbox::start(options);
  } catch (const Error& error) {
    std::vector<std::string> wrong;
    if (error.kind() != ErrorKind::kEnvironment) wrong.push_back("another kind of error");
    for (const std::string& word : words) {
      if (std::string(error.what()).find(word) == std::string::npos)
        wrong.push_back("\"" + word + "\" is missing");
    }
    if (!wrong.empty()) wrong.push_back(error.what());
    return wrong;
  }
  return {"the sandbox started"};
}

// As the current user and, when that is root, as an ordinary one.
void expect_refusal(const std::string& name, const std::function<void()>& take_away, Level level,
                    const std::vector<std::string>& words, bool root_only = false) {
  const auto work = [&] {
    take_away();
    return check_refusal(level, words);
  };
  if (geteuid() == 0 || !root_only) {
    for (const std::string& line : in_new_process(work)) ADD_FAILURE() << name << ": " << line;
  }
  if (geteuid() == 0 && !root_only) {
    for (const std::string& line : as_ordinary_user(work))
      ADD_FAILURE() << name << " as an ordinary user: " << line;
  }
}

class MissingLayer : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    if (const std::string why = refusal(Level::kFull); !why.empty())
      GTEST_SKIP() << "needs level full: " << why;
  }
};

TEST_P(MissingLayer, StopsTheStart) {
  const Absence& absence = absences()[GetParam()];
  if (absence.root_only && geteuid() != 0) GTEST_SKIP() << "can be taken away by root only";
#ifdef __SANITIZE_ADDRESS__
  if (std::string(absence.name) == "limits")
    GTEST_SKIP() << "AddressSanitizer itself asks for limits at its start";
#endif
  expect_refusal(
      absence.name, [&] { refuse_calls(absence.calls); }, Level::kFull, {absence.layer, "--skip-unavailable"},
      absence.root_only);
}
INSTANTIATE_TEST_SUITE_P(Calls, MissingLayer, ::testing::Range<size_t>(0, absences().size()),
                         [](const auto& tested) { return std::string(absences()[tested.param].name); });

class MissingNamespace : public ::testing::TestWithParam<const char*> {};

TEST_P(MissingNamespace, StopsTheStart) {
  if (const std::string why = refusal(Level::kFull); !why.empty())
    GTEST_SKIP() << "needs level full: " << why;
  const std::string name = GetParam();
  expect_refusal(name, [&] { forbid_namespaces(name); }, Level::kFull,
                 {"ENOSPC", "user.max_" + name + "_namespaces", "--skip-unavailable"});
}
INSTANTIATE_TEST_SUITE_P(Limits, MissingNamespace,
                         ::testing::Values("user", "pid", "mnt", "net", "ipc", "uts", "cgroup"),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(MissingLayers, AutoNeverFallsToAWeakerLevel) {
  expect_refusal("auto", [] { refuse_calls(no_namespace(CLONE_NEWUSER)); }, Level::kAuto,
                 {"level full refused", "level bwrap refused", "--sandbox=landlock"});
}

TEST(MissingLayers, LandlockIsOptionalAtLevelFullAndReported) {
  if (const std::string why = refusal(Level::kFull); !why.empty())
    GTEST_SKIP() << "needs level full: " << why;
  const auto wrong = in_new_process([]() -> std::vector<std::string> {
    refuse_calls({{"landlock_create_ruleset", ENOSYS, {}}});
    SandboxOptions options;
    options.level = Level::kFull;
    const auto sandbox = Sandbox::start(options);
    if (sandbox->run_record().at("warnings").dump().find("landlock") == std::string::npos)
      return {"no warning"};
    if (sandbox->run_record().at("layers").dump().find("landlock") != std::string::npos)
      return {"listed as a layer"};
    return {};
  });
  for (const std::string& line : wrong) ADD_FAILURE() << line;
}

TEST(MissingLayers, LandlockIsNotOptionalAtItsOwnLevel) {
  for (const int error : {ENOSYS, EOPNOTSUPP}) {
    expect_refusal("landlock", [error] { refuse_calls({{"landlock_create_ruleset", error, {}}}); },
                   Level::kLandlock, {"landlock", "--skip-unavailable"});
  }
}

TEST(MissingLayers, BubblewrapThatIsNotInstalledIsTold) {
  const std::string path = find_bubblewrap();
  expect_refusal("bwrap",
                 [&path] {
                   if (!path.empty()) hide_file(path);
                 },
                 Level::kBwrap, {"bubblewrap", "install", "--skip-unavailable"});
}

TEST(MissingLayers, ThereIsNoStartWithoutAPython) {
  const testing::TemporaryFolder folder;
  const auto refuse = [](const std::string& python, std::vector<std::string> words) {
    SandboxOptions options;
    options.python = python;
    try {
      Sandbox::start(options);
      ADD_FAILURE() << python << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
      for (const std::string& word : words)
        EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  refuse("/nonexistent/python3", {"/nonexistent/python3", "3.9", "--python"});
  std::ofstream(folder / "old") << "#!/bin/sh\necho cpython 3.8.1\nexit 3\n";
  std::filesystem::permissions(folder / "old", std::filesystem::perms::owner_all);
  refuse((folder / "old").string(), {"3.8.1", ">= 3.9"});
  std::ofstream(folder / "broken") << "#!/bin/sh\necho no module named _ctypes\nexit 1\n";
  std::filesystem::permissions(folder / "broken", std::filesystem::perms::owner_all);
  refuse((folder / "broken").string(), {"ctypes"});
}

}  // namespace
}  // namespace fathom::sandbox
