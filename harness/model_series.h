// A series of checkpoints named by one pattern: --model 'ckpt/step-*'.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fathom::harness {

/// The training step in a folder's name: the digits at its end after "step", "checkpoint", "ckpt" or "iter",
/// any case, with or without '-' or '_' between: "step-1000", "global_step2000", "checkpoint_5".
std::optional<int64_t> train_step_of(const std::filesystem::path& folder);

/// The folders that `pattern` matches as a shell would ('*', '?', '[...]'), by training step, then by name;
/// one without these characters, or one that exists as it is spelt, is itself. Throws Error{kUsage} when
/// nothing matches.
std::vector<std::string> model_series(const std::string& pattern);

}  // namespace fathom::harness
