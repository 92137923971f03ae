// What `fathom model info` says about a model folder: geometry, parameters, bytes of weights and of cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/model_geometry.h"

namespace fathom::harness {

/// The stored tensors, when the folder has any; loading them has checked every name, shape and dtype.
struct StoredWeights {
  int64_t n_files = 0;    ///< weight files
  int64_t n_tensors = 0;  ///< as stored: stacked experts are two tensors a layer
  uint64_t bytes = 0;
  std::map<std::string, int64_t> tensors_of_dtype;  ///< safetensors names
  bool stacked_experts = false;
  std::vector<std::string> warnings;
};

struct ModelInfo {
  std::filesystem::path model_dir;
  engine::ModelConfig config;
  engine::ModelGeometry geometry;
  std::optional<StoredWeights> stored;  ///< absent: the folder holds config.json alone
};

/// Throws Error{kBadInput} as loading the checkpoint does. config.json alone is enough.
ModelInfo inspect_model(const std::filesystem::path& model_dir);

/// For people: a page of aligned lines.
std::string model_info_text(const ModelInfo& info);
/// For programs: one object, counts as integers.
nlohmann::json model_info_json(const ModelInfo& info);

}  // namespace fathom::harness
