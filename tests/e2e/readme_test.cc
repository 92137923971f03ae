// The README's first block is what its first command prints: the demo is run and every line is looked for.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "kernels/kernels.h"
#include "tests/temporary_folder.h"

namespace fathom::testing {
namespace {

/// Lines with runs of spaces made one: the README leaves rows out, so its columns are narrower.
std::vector<std::string> squeezed_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string squeezed;
    for (std::string word; words >> word;) squeezed += (squeezed.empty() ? "" : " ") + word;
    if (!squeezed.empty()) lines.push_back(squeezed);
  }
  return lines;
}

std::string first_output_block(const std::string& readme) {
  const size_t command = readme.find("./demo.sh\n```\n");
  EXPECT_NE(command, std::string::npos);
  const size_t begin = readme.find("\n```\n", command + 14) + 5;
  return readme.substr(begin, readme.find("\n```", begin) - begin);
}

TEST(Readme, ShowsWhatTheDemoPrints) {
  const std::string readme = read_file(FATHOM_SOURCE_DIR "/README.md");
  const std::string here = kernels::instruction_set(kernels::Space::kCpu);
  if (readme.find(fmt::format("kernels `{}`", here)) == std::string::npos) {
    GTEST_SKIP() << "the README's scores are of another instruction set; this machine computes with " << here;
  }
  const TemporaryFolder folder;
  const std::string command =
      fmt::format("HOME='{0}' '{1}/tools/evaluate_demo.sh' '{2}' '{0}/results.db' > '{0}/out' 2> '{0}/err'",
                  folder.path().string(), FATHOM_SOURCE_DIR, FATHOM_BINARY);
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == kExitEnvironment) {
    GTEST_SKIP() << "demo_code cannot run here: " << read_file(folder / "err");
  }
  ASSERT_EQ(status, 0) << read_file(folder / "err");
  const std::vector<std::string> printed = squeezed_lines(read_file(folder / "out"));
  const std::vector<std::string> shown = squeezed_lines(first_output_block(readme));
  EXPECT_GE(shown.size(), 20u);
  // In order, each as the beginning of a line: the README leaves out rows and last columns.
  size_t at = 0;
  for (const std::string& line : shown) {
    size_t found = at;
    while (found < printed.size() && !printed[found].starts_with(line)) ++found;
    if (found == printed.size()) {
      ADD_FAILURE() << "not in the demo's output (or not in this order): " << line;
    } else {
      at = found + 1;
    }
  }
}

}  // namespace
}  // namespace fathom::testing
