// The commands that run programs, as a user meets them: options, exit codes and messages.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>

#include "base/error.h"
#include "tests/temporary_folder.h"

namespace fathom {
namespace {

struct Ended {
  int exit_code = -1;
  std::string text;  // standard output and standard error
};

Ended fathom(const std::string& arguments) {
  Ended ended;
  FILE* pipe = popen((FATHOM_BINARY " " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) ended.text.append(buffer.data(), n);
  const int status = pclose(pipe);
  ended.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

std::set<std::string> options_of(const std::string& command) {
  static const std::set<std::string> kSandbox = {
      "--sandbox",  "--i-know-this-is-unsafe", "--python", "--workers", "--timing", "--timeout", "--wall",
      "--memory-mb"};
  const std::string help = fathom(command + " --help").text;
  const std::regex option("\n +(--[a-z-]+)");
  std::set<std::string> found;
  for (std::sregex_iterator it(help.begin(), help.end(), option), end; it != end; ++it) {
    if (kSandbox.contains((*it)[1])) found.insert((*it)[1]);
  }
  return found;
}

TEST(SandboxCommands, ShareTheirOptions) {
  EXPECT_EQ(options_of("exec").size(), 8u);
  EXPECT_EQ(options_of("run"), options_of("exec"));
  EXPECT_EQ(options_of("doctor"), options_of("exec"));
}

TEST(SandboxCommands, NoSandboxNeedsASecondWord) {
  for (const std::string command : {"exec --input /dev/null", "doctor", "run humaneval --model x --db y"}) {
    const Ended ended = fathom(command + " --sandbox none");
    EXPECT_EQ(ended.exit_code, kExitUsage) << command;
    EXPECT_NE(ended.text.find("--i-know-this-is-unsafe"), std::string::npos) << ended.text;
  }
}

TEST(SandboxCommands, AnUnknownWordIsAUsageErrorThatListsTheKnownOnes) {
  for (const std::string command : {"exec --input /dev/null", "doctor", "run humaneval --model x --db y"}) {
    const Ended level = fathom(command + " --sandbox strong");
    EXPECT_EQ(level.exit_code, kExitUsage);
    EXPECT_NE(level.text.find("auto, full, bwrap, landlock, none"), std::string::npos) << level.text;
    EXPECT_EQ(fathom(command + " --timing wall").exit_code, kExitUsage);
  }
}

TEST(SandboxCommands, AMissingInterpreterIsExitCodeFive) {
  for (const std::string command : {"exec --input /dev/null", "doctor"}) {
    const Ended ended = fathom(command + " --python /nonexistent/python3");
    EXPECT_EQ(ended.exit_code, kExitEnvironment) << command;
    EXPECT_NE(ended.text.find("/nonexistent/python3"), std::string::npos) << ended.text;
  }
}

TEST(Doctor, SaysOfEachLayerWhetherItIsThereAndWhyNot) {
  const Ended ended = fathom("doctor --json");
  const nlohmann::json report = nlohmann::json::parse(ended.text, nullptr, false);
  ASSERT_TRUE(report.is_object()) << ended.text;
  std::set<std::string> layers;
  for (const auto& layer : report.at("layers")) {
    layers.insert(layer.at("layer"));
    EXPECT_TRUE(layer.at("present").get<bool>() || layer.at("note").get<std::string>().size() > 10) << layer;
  }
  for (const char* layer : {"user namespace", "network namespace", "private root", "seccomp", "landlock",
                            "no_new_privs", "capabilities", "resource limits", "bubblewrap", "fresh /tmp"}) {
    EXPECT_TRUE(layers.contains(layer)) << layer;
  }
  const nlohmann::json& asked = report.at("asked");
  ASSERT_EQ(asked.at("level"), "auto");
  if (!asked.at("available").get<bool>()) {
    EXPECT_EQ(ended.exit_code, kExitEnvironment);
    GTEST_SKIP() << "no sandbox here: " << asked.at("reason");
  }
  EXPECT_EQ(ended.exit_code, kExitDone);
  EXPECT_GT(asked.at("sample").at("cpu_ms_p50").get<double>(), 0.0);
  EXPECT_GE(asked.at("sample").at("wall_ms_p95").get<double>(),
            asked.at("sample").at("wall_ms_p50").get<double>());
  EXPECT_EQ(report.at("levels").size(), 3u);
}

TEST(Exec, AnswersInTheOrderOfTheInputAndRefusesWhatItDoesNotKnow) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder / "in.jsonl") << R"json({"id":"a","program":"import time\ntime.sleep(0.3)"}
{"id":7,"prompt":"def f(x):\n","completion":"    return x\n","test":"def check(g):\n    assert g(1) == 1\n","entry_point":"f"}
{"id":"c","completion_base64":"ZGVmIGYoKToKICByZXR1cm4gMQo=","setup":"","tests":["assert f() == 2"]}
{"id":"d","program":"print(1)\nwhile True: pass","limits":{"cpu_s":0.2}}
)json";
  const std::string paths =
      "--input " + (folder / "in.jsonl").string() + " --output " + (folder / "out.jsonl").string();
  const Ended ended = fathom("exec " + paths);
  if (ended.exit_code == kExitEnvironment) GTEST_SKIP() << ended.text;
  ASSERT_EQ(ended.exit_code, kExitDone) << ended.text;
  std::ifstream out(folder / "out.jsonl");
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(out, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].at("id"), "a");
  EXPECT_EQ(lines[1].at("id"), 7);
  EXPECT_EQ(lines[0].at("verdict"), "pass");
  EXPECT_EQ(lines[1].at("verdict"), "pass");
  EXPECT_EQ(lines[2].at("verdict"), "fail");
  EXPECT_EQ(lines[3].at("verdict"), "timeout");
  EXPECT_EQ(lines[3].at("stdout"), "");  // never flushed by the program
  for (const auto& line : lines) {
    EXPECT_EQ(line.at("policy").at("hash").get<std::string>().size(), 64u);
    EXPECT_FALSE(line.at("policy").at("layers").empty());
    for (const char* key :
         {"detail", "wall_ms", "cpu_ms", "peak_rss_mb", "stdout_bytes", "stderr", "signal"}) {
      EXPECT_TRUE(line.contains(key)) << key;
    }
  }
  std::ofstream(folder / "in.jsonl") << R"json({"id":"a","programme":"pass"})json";
  const Ended wrong = fathom("exec " + paths);
  EXPECT_EQ(wrong.exit_code, kExitBadInput);
  EXPECT_NE(wrong.text.find("programme"), std::string::npos) << wrong.text;
}

}  // namespace
}  // namespace fathom
