// From what the command line chose to a loaded model and its engine.
#pragma once

#include <memory>
#include <string>

#include "engine/embedded_engine.h"

namespace fathom::harness {

enum class Device { kCpu, kCuda };

struct EngineChoice {
  std::string model_dir;
  Device device = Device::kCpu;
  engine::EngineOptions options;
};

kernels::Space space_of(Device device);

enum class WithTokenizer { kNo, kYes };

struct LoadedEngine {
  std::shared_ptr<const engine::Checkpoint> checkpoint;
  std::shared_ptr<const engine::Tokenizer> tokenizer;  ///< null without
  std::unique_ptr<engine::EmbeddedEngine> engine;
};

/// Loads the checkpoint, prints its warnings to standard error and makes the engine. Throws Error;
/// kEnvironment for a device that this binary cannot use.
LoadedEngine load_engine(const EngineChoice& choice, WithTokenizer with_tokenizer);

}  // namespace fathom::harness
