// Which files of a model folder hold its weights, and what to say when none fathom reads are there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom::engine {

struct WeightFiles {
  /// model.safetensors.index.json, absent for a single model.safetensors.
  std::optional<std::filesystem::path> index;
  /// Names relative to the model folder, sorted.
  std::vector<std::string> shards;
  /// The index's weight_map, sorted: tensor name and number of its shard. Empty without an index.
  std::vector<std::pair<std::string, size_t>> weight_map;
  /// metadata.total_size of the index.
  std::optional<uint64_t> total_size;
};

/// Reads the text of an index that lies at `index_path`, without looking at the shards. Throws
/// Error{kBadInput}.
WeightFiles parse_weight_index(std::string_view json_text, const std::filesystem::path& index_path);

/// Finds model.safetensors or reads model.safetensors.index.json; nothing when the folder holds no weights of
/// any kind. Shard names are taken from the index alone and must lie inside the folder; they may be symbolic
/// links, as in snapshots of the hub cache. Throws Error{kBadInput}: the folder is missing, holds another
/// format (the error names the conversion), both layouts, or a broken index.
std::optional<WeightFiles> find_weight_files(const std::filesystem::path& model_dir);

}  // namespace fathom::engine
