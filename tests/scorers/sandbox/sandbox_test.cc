// Programs that must be judged rightly, and programs that try to be judged otherwise. Runs at the level that
// this machine offers by default; skips loudly where it offers none.
#include "scorers/sandbox/sandbox.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "scorers/sandbox/broker.h"

namespace fathom::sandbox {
namespace {

struct Case {
  const char* name;
  const char* body;  // of def f(x), which should return 2 for 1
  Verdict verdict;
};

const Case kCases[] = {
    {"honest", "    return x + 1\n", Verdict::kPass},
    {"honest_with_import", "    import math\n    return math.floor(2.5)\n", Verdict::kPass},
    {"wrong", "    return 3\n", Verdict::kFail},
    {"syntax_error", "    return (\n", Verdict::kCompileError},
    {"nul_byte", "    return '\\0'\n", Verdict::kFail},
    {"raises", "    raise ValueError('no')\n", Verdict::kRuntimeError},
    {"sys_exit", "    import sys\n    sys.exit(0)\n", Verdict::kFail},
    {"os_exit", "    import os\n    os._exit(0)\n", Verdict::kRuntimeError},
    {"equal_to_all", "    class E:\n        def __eq__(self, other): return True\n    return E()\n",
     Verdict::kFail},
    {"int_subclass",
     "    class I(int):\n        def __eq__(self, other): return True\n        __hash__ = int.__hash__\n    "
     "return I(7)\n",
     Verdict::kFail},
    {"patched_builtins",
     "    import builtins\n    builtins.AssertionError = type('A', (Exception,), {})\n    "
     "builtins.isinstance = lambda *a: "
     "True\n    return 3\n",
     Verdict::kRuntimeError},
    {"rewrites_check", "    import __main__\n    __main__.check = lambda c: None\n    return 3\n",
     Verdict::kFail},
    {"atexit", "    import atexit, os\n    atexit.register(lambda: os._exit(0))\n    return 3\n",
     Verdict::kFail},
    {"endless_loop", "    while True: pass\n", Verdict::kTimeout},
    {"much_memory", "    return len([0] * 10**10)\n", Verdict::kOom},
    {"socket", "    import socket\n    socket.socket()\n    return 2\n", Verdict::kRuntimeError},
    {"fork", "    import os\n    os.fork()\n    return 2\n", Verdict::kKilledByPolicy},
    {"exec", "    import os\n    os.execv('/bin/true', ['true'])\n    return 2\n", Verdict::kRuntimeError},
    {"reads_shadow", "    return len(open('/etc/shadow').read())\n", Verdict::kRuntimeError},
    {"writes_root", "    open('/escaped', 'w').write('x')\n    return 2\n", Verdict::kRuntimeError},
    {"kills_parent", "    import os, signal\n    os.kill(os.getppid(), signal.SIGKILL)\n    return 3\n",
     Verdict::kRuntimeError},
};

Job job_for(const Case& one) {
  return {.id = one.name,
          .kind = JobKind::kCheck,
          .prompt = "def f(x):\n",
          .completion = one.body,
          .test = "def check(candidate):\n    assert candidate(1) == 2\n",
          .entry_point = "f"};
}

std::unique_ptr<Sandbox> start_or_null() {
  SandboxOptions options;
  options.n_workers = 2;
  try {
    return Sandbox::start(options);
  } catch (const Error& error) {
    std::fprintf(stderr, "skipped: %s\n", error.what());
    return nullptr;
  }
}

std::map<std::string, Result> run_all(Sandbox& sandbox, std::span<const Case> cases) {
  for (const Case& one : cases) sandbox.submit(job_for(one));
  sandbox.close();
  std::map<std::string, Result> results;
  while (auto result = sandbox.next()) results.emplace(result->id, *result);
  return results;
}

TEST(Sandbox, EveryProgramGetsTheVerdictItDeserves) {
  const auto sandbox = start_or_null();
  if (!sandbox) GTEST_SKIP() << "skipped: this machine offers no sandbox level";
  const auto results = run_all(*sandbox, kCases);
  ASSERT_EQ(results.size(), std::size(kCases));
  for (const Case& one : kCases) {
    const Result& result = results.at(one.name);
    EXPECT_EQ(verdict_name(result.verdict), verdict_name(one.verdict)) << one.name << ": " << result.detail;
  }
  EXPECT_FALSE(std::filesystem::exists("/escaped"));
}

TEST(Sandbox, AnHonestProgramPassesAfterEachAttackOnTheSameCell) {
  const auto sandbox = start_or_null();
  if (!sandbox) GTEST_SKIP() << "skipped: this machine offers no sandbox level";
  std::vector<Case> cases;
  std::vector<std::string> names;
  for (const Case& one : kCases) {
    if (one.verdict == Verdict::kTimeout) continue;
    names.push_back(std::string("after_") + one.name);
  }
  size_t i = 0;
  for (const Case& one : kCases) {
    if (one.verdict == Verdict::kTimeout) continue;
    cases.push_back(one);
    cases.push_back({names[i++].c_str(), "    return 2\n", Verdict::kPass});
  }
  const auto results = run_all(*sandbox, cases);
  for (const std::string& name : names)
    EXPECT_EQ(results.at(name).verdict, Verdict::kPass) << name << results.at(name).detail;
}

TEST(Sandbox, NoSandboxNeedsASecondWord) {
  SandboxOptions options;
  options.level = Level::kNone;
  EXPECT_THROW(check_options(options), Error);
  options.accept_no_sandbox = true;
  EXPECT_NO_THROW(check_options(options));
}

TEST(Sandbox, OnlyASandboxErrorHasNoReferenceResult) {
  EXPECT_EQ(reference_result(Verdict::kPass), "passed");
  EXPECT_EQ(reference_result(Verdict::kTimeout), "timed out");
  EXPECT_EQ(reference_result(Verdict::kOom), "failed");
  EXPECT_FALSE(reference_result(Verdict::kSandboxError).has_value());
}

}  // namespace
}  // namespace fathom::sandbox

// The sandbox starts its supervisor by executing this program anew.
int main(int argc, char** argv) {
  fathom::sandbox::run_broker_if_asked(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
