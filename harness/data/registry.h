// The data sets that fathom can fetch, import and verify.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "harness/data/dataset.h"

namespace fathom::harness {

const std::vector<Dataset>& all_datasets();

/// Throws Error{kUsage} naming the known sets.
const Dataset& find_dataset(std::string_view name);

/// The 114 files of MMLU (pinned_mmlu.cc).
std::span<const DataFile> pinned_mmlu_files();

}  // namespace fathom::harness
