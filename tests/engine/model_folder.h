// A tiny checkpoint on disk, tokenizer included, and engines over it.
#pragma once

#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/embedded_engine.h"
#include "tests/engine/golden_weights.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {

/// Configuration A with a vocabulary that has room for the golden tokenizer.
inline nlohmann::json tiny_config() {
  nlohmann::json config = golden::config('A');
  config["vocab_size"] = 520;
  config["eos_token_id"] = nullptr;
  return config;
}

/// A checkpoint folder with tokenizer, changed as a test likes before it is loaded.
class ModelFolder {
 public:
  explicit ModelFolder(const nlohmann::json& config = tiny_config(), const golden::Format& format = {})
      : config_(config) {
    tensors_ = golden::tensors(config, format);
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
      std::filesystem::copy(std::filesystem::path(FATHOM_SOURCE_DIR "/tests/golden/tokenizer") / file,
                            folder_ / file);
    }
  }

  void set_eos(const nlohmann::json& eos) {
    golden::write_bytes(folder_ / "generation_config.json", nlohmann::json{{"eos_token_id", eos}}.dump());
  }

  void set_element(const std::string& tensor, size_t index, float value) {
    for (golden::NamedTensor& t : tensors_) {
      if (t.name == tensor) std::memcpy(t.bytes.data() + 4 * index, &value, 4);
    }
  }

  std::unique_ptr<EmbeddedEngine> engine(const EngineOptions& options = {.n_threads = 2}) {
    golden::write_checkpoint(folder_.path(), config_, tensors_);
    return make_embedded_engine(folder_.path(), options);
  }

  std::shared_ptr<const Checkpoint> checkpoint() {
    golden::write_checkpoint(folder_.path(), config_, tensors_);
    return std::make_shared<const Checkpoint>(Checkpoint::load(folder_.path()));
  }

  std::unique_ptr<EmbeddedEngine> engine_without_tokenizer() {
    return make_embedded_engine(checkpoint(), nullptr, {});
  }

 private:
  nlohmann::json config_;
  std::vector<golden::NamedTensor> tensors_;
  testing::TemporaryFolder folder_;
};

}  // namespace fathom::engine
