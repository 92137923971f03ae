#include "harness/data/resolve.h"

#include <algorithm>

#include "base/error.h"
#include "harness/args.h"
#include "harness/data/cache.h"
#include "harness/data/registry.h"

namespace fathom::harness {
namespace fs = std::filesystem;
namespace {

bool holds(const fs::path& folder, const Dataset& set) {
  return std::any_of(set.markers.begin(), set.markers.end(),
                     [&](const std::string& marker) { return fs::exists(folder / marker); });
}

std::string how_to_get(const Dataset& set) {
  return fmt::format("get it with \"fathom data fetch {0}\", or \"fathom data import DIR\" from a local copy",
                     set.name);
}

fs::path resolve_below(const fs::path& folder, const Dataset& set) {
  if (!fs::is_directory(folder)) bad_input(folder.string(), "--data: expected a folder");
  std::vector<fs::path> candidates = {folder / set.name};
  for (const std::string& below : set.import_folders)
    candidates.push_back(below.empty() ? folder : folder / below);
  for (const fs::path& candidate : candidates) {
    if (holds(candidate, set)) return candidate;
  }
  bad_input(folder.string(),
            "--data: the data set {0} is not here (looked for {1} in it, in {0}/ and in the folders "
            "of a published copy); {2}",
            set.name, set.markers[0], how_to_get(set));
}

}  // namespace

fs::path resolve_data_folder(std::string_view name, const fs::path& data_option) {
  const Dataset& set = find_dataset(name);
  if (!data_option.empty()) return resolve_below(data_option, set);
  const DatasetCache cache(user_data_folder());
  const std::string folder = cache.folder(set).string();
  switch (cache.state(set)) {
    case DatasetState::kReady:
      return folder;
    case DatasetState::kAbsent:
      bad_input(folder, "the data set {} is not on this machine; {}, or give --data DIR", set.name,
                how_to_get(set));
    case DatasetState::kDamaged:
      bad_input(folder, "the data set {0} is damaged; see \"fathom data verify {0}\" and {1} again", set.name,
                how_to_get(set));
  }
  FATHOM_CHECK(false, "state");
}

}  // namespace fathom::harness
