// Where a run finds its data sets.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace fathom::harness {

/// The folder of the data set `name` ("mmlu", a Dataset::name) for a run.
///
/// With --data DIR (`data_option` not empty) it is DIR/name, DIR itself, or below either one of the layouts
/// in which the set is published; nothing is hashed, so that a part of a set or rows of one's own can be
/// used, and the store records what was read. Without it, the set in the cache. Throws Error{kBadInput}, with
/// the command that gets the set, when it is not there or the cache's copy is damaged, and Error{kUsage} for
/// an unknown name.
std::filesystem::path resolve_data_folder(std::string_view name, const std::filesystem::path& data_option);

}  // namespace fathom::harness
