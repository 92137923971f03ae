#include "engine/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/checkpoint_files.h"
#include "engine/safetensors.h"
#include "engine/shape_expression.h"
#include "engine/tensor_table.h"

namespace fathom::engine {
namespace {

namespace fs = std::filesystem;
using kernels::Dtype;

constexpr size_t kNamesShown = 3;

// Where a tensor was found.
struct Found {
  const SafetensorsEntry* entry = nullptr;
  const SafetensorsFile* file = nullptr;
  bool used = false;
};
using Directory = std::unordered_map<std::string_view, Found>;

// All tensors of all shards; no name may appear in two.
Directory list_tensors(const std::vector<SafetensorsFile>& shards) {
  size_t n = 0;
  for (const SafetensorsFile& shard : shards) n += shard.entries().size();
  Directory directory;
  directory.reserve(n);
  for (const SafetensorsFile& shard : shards) {
    for (const SafetensorsEntry& entry : shard.entries()) {
      const auto [it, is_new] = directory.try_emplace(entry.name, Found{&entry, &shard});
      if (is_new) continue;
      bad_input(shard.path().string(), "tensor {} is also in {}", json_quoted(entry.name),
                it->second.file->path().string());
    }
  }
  return directory;
}

// The index must describe exactly what the shards hold.
void check_index(const WeightFiles& files, const std::vector<SafetensorsFile>& shards,
                 const Directory& directory) {
  const std::string index = files.index->string();
  for (const auto& [name, shard] : files.weight_map) {
    const auto it = directory.find(name);
    if (it != directory.end() && it->second.file == &shards[shard]) continue;
    bad_input(shards[shard].path().string(), "tensor {}: expected here according to {}, found in {}",
              json_quoted(name), index, it == directory.end() ? "no file" : it->second.file->path().string());
  }
  if (files.weight_map.size() == directory.size()) return;
  for (const auto& [name, found] : directory) {
    const auto less = [](const auto& entry, std::string_view wanted) { return entry.first < wanted; };
    const auto it = std::lower_bound(files.weight_map.begin(), files.weight_map.end(), name, less);
    if (it != files.weight_map.end() && it->first == name) continue;
    bad_input(found.file->path().string(), "tensor {}: not listed by {}", json_quoted(name), index);
  }
}

// What the name of a tensor that DeepSeek-V2 does not have tells about where it comes from.
std::string hint(std::string_view name) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (has("e_score_correction_bias"))
    return " (a routing bias of DeepSeek-V3, which fathom does not compute)";
  if (has("eh_proj") || has("enorm") || has("hnorm")) return " (multi-token prediction of DeepSeek-V3)";
  if (has("weight_scale") || has("input_scale") || has("weight_packed"))
    return " (quantised in a way that config.json's quantization_config does not say; fathom reads a few "
           "such "
           "layouts, else use the bf16, fp16 or fp32 weights)";
  if (has("lora_")) return " (an adapter; merge it into its base model first)";
  if (has(".q_proj."))
    return " (plain q_proj: config.json must say \"q_lora_rank\": null; a missing key means 1536)";
  if (has(".q_a_proj.")) return " (q compression: config.json's q_lora_rank must be its rank, not null)";
  if (has("lm_head")) return " (config.json says tie_word_embeddings true)";
  return "";
}

std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) {
    text += (i == 0 ? "" : ", ") + json_quoted(names[i]) + hint(names[i]);
  }
  return names.size() <= kNamesShown ? text : fmt::format("{} and {} more", text, names.size() - kNamesShown);
}

// The dtypes of a table row that the engine can read, which is all of them.
std::vector<Dtype> accepted_dtypes(const TensorRow& row) {
  std::vector<Dtype> accepted;
  for (Dtype dtype : {Dtype::kBF16, Dtype::kF16, Dtype::kF32}) {
    if (row.dtypes.find(kernels::dtype_name(dtype)) != std::string_view::npos) accepted.push_back(dtype);
  }
  return accepted;
}

// A table row, evaluated for one configuration.
struct Expected {
  const TensorRow& row;
  std::vector<int64_t> shape;
  std::vector<Dtype> dtypes;
};

}  // namespace

struct Checkpoint::Impl {
  fs::path model_dir;
  std::string config_text;
  ModelConfig config;
  std::vector<SafetensorsFile> shards;
  std::vector<std::unique_ptr<std::byte[]>> realigned;  // copies of tensors that lie at odd addresses
  Weights weights;
  std::vector<CheckpointTensor> tensors;
  int64_t n_quantised = 0;
  std::vector<CheckpointFile> files;
  std::vector<std::string> warnings;

  void load_tensors(const WeightFiles& weight_files);
  void load_row(const TensorRow& row, Directory& directory, std::vector<std::string>& missing);
  Tensor view(const Found& found, const Expected& expected);
  std::optional<Tensor> load_quantised(const std::string& name, const Expected& expected,
                                       Directory& directory, std::vector<std::string>& missing);
  const void* aligned(const SafetensorsEntry& entry, Dtype dtype);
  void tie_head(Directory& directory);
};

// The bytes of `entry` at an address where `dtype` may be read.
const void* Checkpoint::Impl::aligned(const SafetensorsEntry& entry, Dtype dtype) {
  if (reinterpret_cast<uintptr_t>(entry.data.data()) % kernels::dtype_bytes(dtype) == 0)
    return entry.data.data();
  realigned.push_back(std::make_unique<std::byte[]>(entry.data.size()));
  std::memcpy(realigned.back().get(), entry.data.data(), entry.data.size());
  return realigned.back().get();
}

// Checks shape and dtype of one stored tensor and returns the engine's view of it.
Tensor Checkpoint::Impl::view(const Found& found, const Expected& expected) {
  const SafetensorsEntry& entry = *found.entry;
  const std::string_view name = entry.name;
  const TensorRow& row = expected.row;
  if (entry.shape != expected.shape) {
    bad_input(found.file->path().string(), "tensor {}: expected shape {} = {}, found {}", json_quoted(name),
              row.shape, shape_text(expected.shape), shape_text(entry.shape));
  }
  const auto dtype = std::find_if(expected.dtypes.begin(), expected.dtypes.end(),
                                  [&](Dtype d) { return kernels::dtype_name(d) == entry.dtype; });
  if (dtype == expected.dtypes.end()) {
    bad_input(found.file->path().string(), "tensor {}: expected one of the dtypes {}, found {}",
              json_quoted(name), row.dtypes, entry.dtype);
  }
  Tensor tensor(aligned(entry, *dtype), *dtype, {});
  tensor.rank = static_cast<int>(expected.shape.size());
  std::copy(expected.shape.begin(), expected.shape.end(), tensor.shape.begin());
  return tensor;
}

// The matrix `name` where the checkpoint holds it quantised; nothing where it holds it plain. A part that is
// not there goes to `missing`.
std::optional<Tensor> Checkpoint::Impl::load_quantised(const std::string& name, const Expected& expected,
                                                       Directory& directory,
                                                       std::vector<std::string>& missing) {
  if (!config.quantization || !expected.row.may_be_quantised()) return std::nullopt;
  const int64_t n = expected.shape[0];
  const int64_t k = expected.shape[1];
  const std::vector<QuantisedPart> parts = quantised_parts(*config.quantization, n, k, name);
  if (!directory.contains(name + std::string(parts[1].suffix))) {
    const auto plain = directory.find(name);
    if (plain != directory.end() && plain->second.entry->dtype == parts[0].dtype)
      missing.push_back(name + std::string(parts[1].suffix));
    return std::nullopt;
  }
  std::vector<const Found*> found;
  for (const QuantisedPart& part : parts) {
    const std::string part_name = name + std::string(part.suffix);
    const auto it = directory.find(part_name);
    if (it == directory.end()) {
      missing.push_back(part_name);
      return Tensor();
    }
    it->second.used = true;
    found.push_back(&it->second);
    const SafetensorsEntry& entry = *it->second.entry;
    if (entry.dtype == part.dtype && entry.shape == part.shape) continue;
    bad_input(it->second.file->path().string(),
              "tensor {}: expected {} {} for a matrix {} in {}, found {} {}", json_quoted(part_name),
              part.dtype, shape_text(part.shape), shape_text(expected.shape),
              quantization_text(*config.quantization), entry.dtype, shape_text(entry.shape));
  }
  if (parts.size() == 3) {
    int64_t stored[2];
    std::memcpy(stored, found[2]->entry->data.data(), sizeof stored);
    if (stored[0] != n || stored[1] != k) {
      bad_input(found[2]->file->path().string(), "tensor {}: expected the numbers {}, found {}",
                json_quoted(found[2]->entry->name), shape_text(expected.shape), shape_text(stored));
    }
  }
  const Dtype dtype = quantised_dtype(config.quantization->format);
  // int4 words are read bytewise, so any address will do.
  Tensor tensor(found[0]->entry->data.data(), dtype, {n, k});
  const Dtype scale_dtype = dtype == Dtype::kF8E4M3 ? Dtype::kF32 : Dtype::kBF16;
  tensor.scales = {const_cast<void*>(aligned(*found[1]->entry, scale_dtype)), config.quantization->block_rows,
                   config.quantization->block_columns};
  n_quantised += 1;
  return tensor;
}

void Checkpoint::Impl::load_row(const TensorRow& row, Directory& directory,
                                std::vector<std::string>& missing) {
  if (tensor_count(row, config) == 0) return;
  const Expected expected{row, evaluate_shape(row.shape, config), accepted_dtypes(row)};
  for (int64_t i = 0; i < (row.per_layer() ? config.num_hidden_layers : 1); ++i) {
    if (!row.exists(config, i)) continue;
    if (row.layout) {
      const bool stacked = directory.contains(stacked_experts_marker(i));
      if (*row.layout != (stacked ? ExpertLayout::kStacked : ExpertLayout::kPerExpert)) continue;
    }
    for (int64_t e = 0; e < (row.per_expert() ? config.n_routed_experts : 1); ++e) {
      std::string name = tensor_name(row, i, e);
      if (const std::optional<Tensor> quantised = load_quantised(name, expected, directory, missing)) {
        row.bind(*quantised, weights, i, e);
        tensors.push_back({std::move(name), *quantised});
        continue;
      }
      const auto it = directory.find(name);
      if (it == directory.end()) {
        missing.push_back(std::move(name));
        continue;
      }
      it->second.used = true;
      const Tensor tensor = view(it->second, expected);
      row.bind(tensor, weights, i, e);
      tensors.push_back({std::move(name), tensor});
    }
  }
}

// With tie_word_embeddings lm_head may still be stored: it must then be the embedding, byte for byte.
void Checkpoint::Impl::tie_head(Directory& directory) {
  weights.lm_head = weights.embed_tokens;
  const auto it = directory.find("lm_head.weight");
  if (it == directory.end() || weights.embed_tokens.data == nullptr) return;
  it->second.used = true;
  const SafetensorsEntry& head = *it->second.entry;
  if (head.dtype != kernels::dtype_name(weights.embed_tokens.dtype) ||
      head.data.size() != weights.embed_tokens.bytes() ||
      std::memcmp(head.data.data(), weights.embed_tokens.data, head.data.size()) != 0) {
    bad_input(it->second.file->path().string(),
              "tensor \"lm_head.weight\": expected the bytes of model.embed_tokens.weight (config.json says "
              "tie_word_embeddings true), found others");
  }
}

void Checkpoint::Impl::load_tensors(const WeightFiles& weight_files) {
  Directory directory = list_tensors(shards);
  if (weight_files.index) check_index(weight_files, shards, directory);
  weights = empty_weights(config);
  std::vector<std::string> missing;
  for (const TensorRow& row : tensor_table()) load_row(row, directory, missing);
  if (config.tie_word_embeddings) tie_head(directory);

  std::vector<std::string> extra;
  for (const auto& [name, found] : directory) {
    if (!found.used) extra.emplace_back(name);
  }
  std::sort(extra.begin(), extra.end());
  if (missing.empty() && extra.empty()) {
    if (!config.quantization || n_quantised > 0) return;
    bad_input((model_dir / "config.json").string(),
              "key \"quantization_config\": says {}, but no tensor is stored so",
              quantization_text(*config.quantization));
  }
  const std::string where = shards.size() == 1 ? shards[0].path().string() : model_dir.string();
  if (extra.empty()) bad_input(where, "missing tensors that config.json asks for: {}", some_of(missing));
  if (missing.empty())
    bad_input(where, "tensors that are not part of the model config.json describes: {}", some_of(extra));
  bad_input(where, "missing tensors that config.json asks for: {}; found instead, not part of the model: {}",
            some_of(missing), some_of(extra));
}

Checkpoint Checkpoint::load(const fs::path& model_dir) {
  auto impl = std::make_unique<Impl>();
  const std::optional<WeightFiles> found = find_weight_files(model_dir);
  if (!found)
    bad_input(model_dir.string(),
              "expected model.safetensors or model.safetensors.index.json, found neither");
  const WeightFiles& weight_files = *found;
  impl->model_dir = model_dir;
  const fs::path config_path = model_dir / "config.json";
  impl->config_text = read_file(config_path);
  impl->config = parse_config(impl->config_text, config_path.string());
  impl->files.push_back({config_path, impl->config_text.size()});
  if (weight_files.index) impl->files.push_back({*weight_files.index, fs::file_size(*weight_files.index)});
  for (const std::string& name : weight_files.shards) {
    const SafetensorsFile& shard = impl->shards.emplace_back(model_dir / name);
    impl->files.push_back({shard.path(), shard.size_bytes()});
  }
  impl->load_tensors(weight_files);

  uint64_t bytes = 0;
  for (const SafetensorsFile& shard : impl->shards) {
    for (const SafetensorsEntry& entry : shard.entries()) bytes += entry.data.size();
  }
  if (weight_files.total_size && *weight_files.total_size != bytes) {
    impl->warnings.push_back(fmt::format("{}: metadata.total_size says {} bytes, the tensors have {}",
                                         weight_files.index->string(), *weight_files.total_size, bytes));
  }
  if (!impl->realigned.empty()) {
    impl->warnings.push_back(
        fmt::format("{}: {} tensors lie at unaligned addresses and were copied to memory; re-save the file "
                    "to have them mapped",
                    model_dir.string(), impl->realigned.size()));
  }
  return Checkpoint(std::move(impl));
}

Checkpoint::Checkpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

const ModelConfig& Checkpoint::config() const {
  return impl_->config;
}
const std::string& Checkpoint::config_text() const {
  return impl_->config_text;
}
const Weights& Checkpoint::weights() const {
  return impl_->weights;
}
const std::vector<CheckpointTensor>& Checkpoint::tensors() const {
  return impl_->tensors;
}
const std::vector<CheckpointFile>& Checkpoint::files() const {
  return impl_->files;
}
const std::vector<std::string>& Checkpoint::warnings() const {
  return impl_->warnings;
}
const fs::path& Checkpoint::model_dir() const {
  return impl_->model_dir;
}

}  // namespace fathom::engine
