// What a command takes from its surroundings besides its arguments: the environment. No other file reads it.
#pragma once

#include <filesystem>

namespace fathom::harness {

/// $XDG_DATA_HOME/fathom, or ~/.local/share/fathom. Throws Error{kEnvironment} when neither variable is set.
/// A relative XDG_DATA_HOME is ignored, as its specification asks.
std::filesystem::path user_data_folder();

/// $XDG_CACHE_HOME/fathom, or ~/.cache/fathom; empty when neither variable is set: nothing is cached then.
std::filesystem::path user_cache_folder();

}  // namespace fathom::harness
