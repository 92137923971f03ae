// The 57 subjects of MMLU and the four categories that they are averaged in.
#pragma once

#include <span>
#include <string_view>

namespace fathom::tasks {

struct MmluSubject {
  std::string_view name;               ///< "abstract_algebra", as in the file names
  std::string_view category;           ///< lm-evaluation-harness's map: "stem", "humanities", ...
  std::string_view original_category;  ///< hendrycks/test, categories.py; differs for anatomy alone
};

/// In alphabetical order.
std::span<const MmluSubject> mmlu_subjects();

/// "stem", "humanities", "social_sciences", "other".
std::span<const std::string_view> mmlu_categories();

}  // namespace fathom::tasks
