#include "engine/quantise_checkpoint.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "engine/checkpoint.h"
#include "engine/checkpoint_files.h"
#include "engine/quantise.h"
#include "engine/safetensors.h"
#include "engine/tensor_table.h"

namespace fathom::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::string_view kCompanions[] = {
    "tokenizer.json",    "tokenizer_config.json", "tokenizer.model",        "special_tokens_map.json",
    "added_tokens.json", "chat_template.jinja",   "generation_config.json", "LICENSE"};

// The folder that is being written; removed unless it got its name.
class FolderInProgress {
 public:
  explicit FolderInProgress(const fs::path& final_path)
      : final_(final_path), path_(final_path.string() + ".incomplete") {
    std::error_code status;
    if (fs::exists(final_, status) && !(fs::is_directory(final_, status) && fs::is_empty(final_, status)))
      bad_input(final_.string(), "is there already and not an empty folder; name another one");
    if (!fs::create_directories(path_, status)) {
      bad_input(path_.string(), "cannot be made ({}); if it is left from a run that was killed, remove it",
                status ? status.message() : "it is there already");
    }
  }
  ~FolderInProgress() {
    std::error_code ignored;
    if (!finished_) fs::remove_all(path_, ignored);
  }
  FolderInProgress(const FolderInProgress&) = delete;
  FolderInProgress& operator=(const FolderInProgress&) = delete;

  const fs::path& path() const { return path_; }
  void finish() {
    std::error_code status;
    fs::rename(path_, final_, status);
    if (status) bad_input(final_.string(), "cannot be renamed from {}: {}", path_.string(), status.message());
    finished_ = true;
  }

 private:
  fs::path final_;
  fs::path path_;
  bool finished_ = false;
};

// Names of the matrices that are quantised. lm_head is not, as is usual.
std::set<std::string> matrices_to_quantise(const ModelConfig& config) {
  std::set<std::string> names;
  for (const TensorRow& row : tensor_table()) {
    if (!row.may_be_quantised() || row.group == TensorGroup::kHead) continue;
    for (int64_t i = 0; i < (row.per_layer() ? config.num_hidden_layers : 1); ++i) {
      if (!row.exists(config, i)) continue;
      for (int64_t e = 0; e < (row.per_expert() ? config.n_routed_experts : 1); ++e)
        names.insert(tensor_name(row, i, e));
    }
  }
  return names;
}

// A tensor of the shard to be written. Its bytes are made when their turn comes.
struct Planned {
  std::string name;
  std::string_view dtype;
  std::vector<int64_t> shape;
  uint64_t bytes = 0;
};

uint64_t element_bytes(std::string_view dtype) {
  if (dtype == "F32" || dtype == "I32") return 4;
  if (dtype == "BF16") return 2;
  return dtype == "I64" ? 8 : 1;
}

std::vector<Planned> planned_parts(const SafetensorsEntry& entry, const Quantization& quantization) {
  std::vector<Planned> all;
  for (const QuantisedPart& part :
       quantised_parts(quantization, entry.shape[0], entry.shape[1], entry.name)) {
    uint64_t bytes = element_bytes(part.dtype);
    for (int64_t dim : part.shape) bytes *= static_cast<uint64_t>(dim);
    all.push_back({entry.name + std::string(part.suffix), part.dtype, part.shape, bytes});
  }
  return all;
}

// Length and JSON, padded so that the data begins at a multiple of 64 bytes.
std::string safetensors_header(const std::vector<Planned>& tensors) {
  ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t offset = 0;
  for (const Planned& t : tensors) {
    header[t.name] = {{"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {offset, offset + t.bytes}}};
    offset += t.bytes;
  }
  std::string json = header.dump();
  json.append((64 - (json.size() + 8) % 64) % 64, ' ');
  const uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + json;
}

kernels::Tensor plain_matrix(const SafetensorsEntry& entry) {
  const kernels::Dtype dtype = entry.dtype == "F32"   ? kernels::Dtype::kF32
                               : entry.dtype == "F16" ? kernels::Dtype::kF16
                                                      : kernels::Dtype::kBF16;
  return {entry.data.data(), dtype, {entry.shape[0], entry.shape[1]}};
}

class ShardWriter {
 public:
  ShardWriter(const SafetensorsFile& in, const std::set<std::string>& matrices,
              const Quantization& quantization, ThreadPool& pool)
      : in_(in), matrices_(matrices), quantization_(quantization), pool_(pool) {
    for (const SafetensorsEntry& entry : in_.entries()) {
      if (!matrices_.contains(entry.name)) {
        planned_.push_back({entry.name, entry.dtype, entry.shape, entry.data.size()});
        continue;
      }
      for (Planned& part : planned_parts(entry, quantization_)) planned_.push_back(std::move(part));
    }
  }

  const std::vector<Planned>& tensors() const { return planned_; }

  // Calls done(entry bytes) after each tensor of the input.
  template <typename Done>
  void write(const fs::path& path, QuantisedCheckpoint& result, const Done& done) {
    FileWriter file(path);
    const auto append = [&](std::string_view bytes) {
      file.append(bytes);
      result.bytes_after += bytes.size();
    };
    append(safetensors_header(planned_));
    for (const SafetensorsEntry& entry : in_.entries()) {
      if (matrices_.contains(entry.name)) {
        const QuantisedBytes bytes = quantise_matrix(plain_matrix(entry), quantization_, entry.name, pool_);
        append(bytes.numbers);
        append(bytes.scales);
        if (quantization_.format == QuantFormat::kInt4)
          append({reinterpret_cast<const char*>(entry.shape.data()), 2 * sizeof(int64_t)});
        ++result.n_quantised;
      } else {
        append({reinterpret_cast<const char*>(entry.data.data()), entry.data.size()});
        ++result.n_kept;
      }
      done(entry.data.size());
    }
    file.finish();
  }

 private:
  const SafetensorsFile& in_;
  const std::set<std::string>& matrices_;
  const Quantization& quantization_;
  ThreadPool& pool_;
  std::vector<Planned> planned_;
};

void copy_companions(const fs::path& in, const fs::path& out) {
  for (std::string_view name : kCompanions) {
    std::error_code status;
    if (!fs::is_regular_file(in / name, status)) continue;
    fs::copy_file(in / name, out / name, status);
    if (status) bad_input((out / name).string(), "cannot be written: {}", status.message());
  }
}

void write_config(const Checkpoint& checkpoint, const Quantization& quantization, const fs::path& out) {
  ordered_json config = ordered_json::parse(checkpoint.config_text());
  config["quantization_config"] = quantization_json(quantization);
  write_file_atomically(out / "config.json", config.dump(2) + "\n");
}

}  // namespace

QuantisedCheckpoint quantise_checkpoint(const fs::path& in, const fs::path& out,
                                        const Quantization& quantization, ThreadPool& pool) {
  const Checkpoint checkpoint = Checkpoint::load(in);
  const ModelConfig& config = checkpoint.config();
  if (config.quantization)
    bad_input(in.string(), "is quantised already ({}); quantise the original",
              quantization_text(*config.quantization));
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    if (tensor.tensor.rank == 3)
      bad_input(in.string(), "its experts are stacked; save it with save_original_format=True first");
  }
  FolderInProgress folder(out);
  const WeightFiles files = *find_weight_files(in);
  const std::set<std::string> matrices = matrices_to_quantise(config);
  QuantisedCheckpoint result;
  for (const CheckpointFile& file : checkpoint.files()) {
    if (file.path.extension() == ".safetensors") result.bytes_before += file.size_bytes;
  }
  Progress progress("quantise", "MB", static_cast<int64_t>(result.bytes_before / 1'000'000));
  uint64_t bytes_done = 0;
  ordered_json weight_map = ordered_json::object();
  uint64_t total_size = 0;
  for (const std::string& name : files.shards) {
    const SafetensorsFile shard(in / name);
    ShardWriter writer(shard, matrices, quantization, pool);
    for (const Planned& tensor : writer.tensors()) {
      weight_map[tensor.name] = name;
      total_size += tensor.bytes;
    }
    fs::create_directories((folder.path() / name).parent_path());
    writer.write(folder.path() / name, result, [&](uint64_t bytes) {
      bytes_done += bytes;
      progress.update(static_cast<int64_t>(bytes_done / 1'000'000));
    });
  }
  if (files.index) {
    const ordered_json index = {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}};
    write_file_atomically(folder.path() / files.index->filename(), index.dump(2) + "\n");
  }
  copy_companions(in, folder.path());
  write_config(checkpoint, quantization, folder.path());
  Checkpoint::load(folder.path());
  folder.finish();
  return result;
}

}  // namespace fathom::engine
