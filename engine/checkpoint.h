// Checkpoint: a DeepSeek-V2 model folder, mapped and checked against the tensor table.
//
// Loading maps the weight files and reads their headers; tensor bytes stay where they are (a tensor that a
// file stores at an address its dtype cannot be read from is the one exception: it is copied and reported).
// Immutable after load and safe to read from many threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config.h"
#include "engine/weights.h"

namespace fathom::engine {

/// A file that makes up the model, for hashing: its identity is the bytes, not the name.
struct CheckpointFile {
  std::filesystem::path path;  // as reached through the model folder, links not resolved
  uint64_t size_bytes = 0;
};

/// A tensor as the checkpoint stores it: experts that are stacked in the file are one entry, and so are the
/// parts of a quantised matrix.
struct CheckpointTensor {
  std::string name;
  Tensor tensor;
};

class Checkpoint {
 public:
  /// Throws Error{kBadInput} naming the file, key or tensor, what was expected and found.
  static Checkpoint load(const std::filesystem::path& model_dir);
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;

  const ModelConfig& config() const;
  /// config.json, byte for byte.
  const std::string& config_text() const;
  const Weights& weights() const;
  /// Every tensor, in the order of the tensor table.
  const std::vector<CheckpointTensor>& tensors() const;
  /// config.json, the index if there is one, then the weight files.
  const std::vector<CheckpointFile>& files() const;
  /// What is unusual but not wrong; one sentence each, for standard error.
  const std::vector<std::string>& warnings() const;
  const std::filesystem::path& model_dir() const;

 private:
  struct Impl;
  explicit Checkpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom::engine
