#include "harness/engine_loading.h"

#include <fmt/core.h>

#include "engine/verified_kernels.h"
#include "kernels/device.h"

namespace fathom::harness {

kernels::Space space_of(Device device) {
  return device == Device::kCuda ? kernels::Space::kCuda : kernels::Space::kCpu;
}

LoadedEngine load_engine(const EngineChoice& choice, WithTokenizer with_tokenizer) {
  engine::EngineOptions options = choice.options;
  options.space = space_of(choice.device);
  kernels::check_usable(options.space);  // before minutes of loading
  LoadedEngine loaded;
  loaded.checkpoint = std::make_shared<const engine::Checkpoint>(engine::Checkpoint::load(choice.model_dir));
  for (const std::string& warning : loaded.checkpoint->warnings()) {
    fmt::print(stderr, "fathom: warning: {}\n", warning);
  }
  if (with_tokenizer == WithTokenizer::kYes) {
    loaded.tokenizer = std::make_shared<const engine::Tokenizer>(engine::Tokenizer::load(choice.model_dir));
  }
  loaded.engine = engine::make_embedded_engine(loaded.checkpoint, loaded.tokenizer, options);
  if (const auto& report = loaded.engine->library_report()) {
    for (const std::string& sentence : engine::library_sentences(*report)) {
      fmt::print(stderr, "fathom: --verify-kernels: {}\n", sentence);
    }
  }
  return loaded;
}

}  // namespace fathom::harness
