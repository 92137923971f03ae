#include "harness/model_series.h"

#include <glob.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <tuple>

#include "base/error.h"

namespace fathom::harness {

std::optional<int64_t> train_step_of(const std::filesystem::path& folder) {
  const std::filesystem::path normal = folder.lexically_normal();
  std::string name = normal.filename().empty() ? normal.parent_path().filename() : normal.filename();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t digits = name.find_last_not_of("0123456789") + 1;
  std::string word = name.substr(0, digits);
  if (word.ends_with('-') || word.ends_with('_')) word.pop_back();
  const bool is_step = word.ends_with("step") || word.ends_with("checkpoint") || word.ends_with("ckpt") ||
                       word.ends_with("iter");
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + digits, name.data() + name.size(), step);
  if (!is_step || error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return step;
}

std::vector<std::string> model_series(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos || std::filesystem::exists(pattern)) return {pattern};
  glob_t found{};
  const std::unique_ptr<glob_t, decltype(&::globfree)> cleanup(&found, &::globfree);
  std::vector<std::string> folders;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      if (std::filesystem::is_directory(found.gl_pathv[i])) folders.emplace_back(found.gl_pathv[i]);
    }
  }
  if (folders.empty()) {
    throw Error(ErrorKind::kUsage, fmt::format("--model {}: no folder matches this pattern", pattern));
  }
  std::sort(folders.begin(), folders.end(), [](const std::string& a, const std::string& b) {
    return std::tuple(train_step_of(a).value_or(-1), a) < std::tuple(train_step_of(b).value_or(-1), b);
  });
  return folders;
}

}  // namespace fathom::harness
