#include "scorers/score.h"

#include "base/error.h"

namespace fathom::scorers {

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kScored:
      return "scored";
    case Outcome::kNoAnswer:
      return "no_answer";
    case Outcome::kError:
      return "error";
  }
  FATHOM_CHECK(false, "outcome {}", static_cast<int>(outcome));
}

std::vector<std::string> flag_names(uint32_t flags) {
  static constexpr std::string_view kNames[] = {"truncated", "boundary_merge", "tie",
                                                "empty",     "length",         "unparsed"};
  std::vector<std::string> names;
  for (size_t bit = 0; bit < std::size(kNames); ++bit) {
    if (flags & (uint32_t{1} << bit)) names.emplace_back(kNames[bit]);
  }
  return names;
}

}  // namespace fathom::scorers
