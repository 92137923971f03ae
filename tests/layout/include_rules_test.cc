// Every #include "folder/..." of the project against the table of docs/architecture.md.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace fathom {
namespace {

namespace fs = std::filesystem;

// What a folder may include besides itself. A key with a slash is a folder with rules of its own.
const std::map<std::string, std::set<std::string>>& allowed_includes() {
  static const std::map<std::string, std::set<std::string>> kAllowed = {
      {"base", {}},
      {"kernels", {"base"}},
      {"engine", {"kernels", "base"}},
      {"tasks", {"base"}},
      {"scorers", {"tasks", "base"}},
      {"scorers/sandbox", {"base"}},
      {"results", {"base"}},
      {"harness", {"base", "kernels", "engine", "tasks", "scorers", "scorers/sandbox", "results"}},
  };
  return kAllowed;
}

// "scorers/sandbox/cell.h" -> "scorers/sandbox"; "engine/config.h" -> "engine"; "" for anything else.
std::string folder_of(const std::string& path) {
  std::string best;
  for (const auto& [folder, allowed] : allowed_includes()) {
    if (path.starts_with(folder + "/") && folder.size() > best.size()) best = folder;
  }
  return best;
}

struct Violation {
  std::string file;
  std::string include;
};

std::vector<Violation> violations_in(const std::string& file, const std::string& text) {
  static const std::regex kInclude("^\\s*#\\s*include\\s*\"([^\"]+)\"");
  std::vector<Violation> found;
  const std::string from = folder_of(file);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, kInclude)) continue;
    const std::string to = folder_of(match[1]);
    if (to.empty() || to == from || allowed_includes().at(from).contains(to)) continue;
    found.push_back({file, match[1]});
  }
  return found;
}

bool is_source(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".h", ".cc", ".cu", ".cuh"};
  return kExtensions.contains(path.extension().string());
}

TEST(IncludeRules, EveryFolderIncludesOnlyWhatTheTableAllows) {
  const fs::path root = FATHOM_SOURCE_DIR;
  int n_files = 0;
  for (const auto& [folder, allowed] : allowed_includes()) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!is_source(entry.path())) continue;
      const std::string file = fs::relative(entry.path(), root).string();
      if (folder_of(file) != folder) continue;
      std::ifstream stream(entry.path());
      const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
      for (const Violation& v : violations_in(file, text))
        ADD_FAILURE() << v.file << " must not include " << v.include;
      ++n_files;
    }
  }
  EXPECT_GT(n_files, 10);
}

TEST(IncludeRules, AForbiddenIncludeIsFound) {
  EXPECT_EQ(violations_in("engine/forward.cc", "#include \"tasks/sample.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in("results/store.cc", "#include \"engine/token.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in("scorers/choice.cc", "#include \"scorers/sandbox/cell.h\"\n").size(), 1u);
  EXPECT_EQ(violations_in("tasks/mmlu.cc", "  #  include \"scorers/score.h\"\n").size(), 1u);
  EXPECT_TRUE(
      violations_in("engine/forward.cc", "#include \"kernels/kernels.h\"\n#include <vector>\n").empty());
}

TEST(IncludeRules, DeviceHeadersStayInKernels) {
  static const std::regex kDevice("#\\s*include\\s*<(cuda|cublas|nccl|mpi)[A-Za-z0-9_./]*>");
  const fs::path root = FATHOM_SOURCE_DIR;
  for (const std::string folder : {"base", "engine", "tasks", "scorers", "results", "harness"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!is_source(entry.path())) continue;
      std::ifstream stream(entry.path());
      for (std::string line; std::getline(stream, line);) {
        EXPECT_FALSE(std::regex_search(line, kDevice)) << entry.path() << ": " << line;
      }
    }
  }
}

}  // namespace
}  // namespace fathom
