// Data sets of fathom's own that are part of the binary: the files under tasks/data/.
#pragma once

#include <optional>
#include <string_view>

namespace fathom::tasks {

/// The bytes of tasks/data/`path` ("mmlu_sample/dev/geography_dev.csv"), if there is such a file.
std::optional<std::string_view> embedded_file(std::string_view path);

/// Whether there is any file below tasks/data/`folder`.
bool has_embedded_files(std::string_view folder);

}  // namespace fathom::tasks
