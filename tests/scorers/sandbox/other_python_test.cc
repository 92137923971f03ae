// The list of system calls fits every minor version of CPython that this machine has: its common imports and
// HumanEval's own solutions meet no refusal.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "scorers/sandbox/call_trace.h"
#include "scorers/sandbox/interpreter.h"
#include "tests/scorers/sandbox/attack_run.h"
#include "tests/scorers/sandbox/canonical.h"
#include "tests/shared_data.h"

namespace fathom::sandbox {
namespace {

std::optional<Interpreter> ask(const std::string& python) {
  try {
    return find_interpreter(python);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Of PATH, else of pyenv.
std::optional<Interpreter> find_minor(int minor) {
  const std::string name = "python3." + std::to_string(minor);
  std::optional<Interpreter> found = ask(name);
  const char* home = std::getenv("HOME");
  std::error_code error;
  for (const auto& version : std::filesystem::directory_iterator(
           std::filesystem::path(home == nullptr ? "" : home) / ".pyenv/versions", error)) {
    const auto program = version.path() / "bin" / name;
    if (!found && std::filesystem::exists(program)) found = ask(program);
  }
  return found;
}

class OtherPython : public ::testing::TestWithParam<int> {};

TEST_P(OtherPython, RunsTheCanonicalSolutionsAndNoCallIsRefused) {
  FATHOM_REQUIRE_SHARED_DATA("humaneval/HumanEval.jsonl.gz");
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  const auto interpreter = find_minor(GetParam());
  if (!interpreter) GTEST_SKIP() << "neither PATH nor pyenv has a python3." << GetParam();
  ASSERT_EQ(interpreter->minor, GetParam());
  EXPECT_EQ(refused_calls(*interpreter, typical_imports()), std::vector<std::string>());
  SandboxOptions options;
  options.python = interpreter->executable;
  const auto jobs = humaneval_jobs([](const std::string& canonical) { return canonical; });
  for (const auto& [id, result] : run_jobs(options, jobs)) {
    EXPECT_EQ(result.verdict, Verdict::kPass) << id << ": " << result.detail;
  }
}

INSTANTIATE_TEST_SUITE_P(Minor, OtherPython, ::testing::Range(9, 15),
                         [](const auto& param) { return "Python3" + std::to_string(param.param); });

}  // namespace
}  // namespace fathom::sandbox
