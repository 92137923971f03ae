#include "engine/checkpoint_files.h"

#include <map>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace fathom::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr std::string_view kPickleAdvice =
    "pickled PyTorch weights, which fathom does not read (unpickling runs code); convert them: "
    "transformers.AutoModelForCausalLM.from_pretrained(DIR, dtype=\"auto\").save_pretrained(OUT)";

// What people have instead of safetensors weights, most telling first, and how to turn it into them.
struct OtherFormat {
  std::string_view prefix;
  std::string_view suffix;
  std::string_view advice;
};
constexpr OtherFormat kOtherFormats[] = {
    {"adapter_", "",
     "an adapter, not a model; merge it into its base model first: "
     "peft.AutoPeftModelForCausalLM.from_pretrained(DIR).merge_and_unload().save_pretrained(OUT)"},
    {"", ".gguf",
     "a GGUF file; a quantised one cannot be turned back into the model, so use the Hugging Face checkpoint "
     "that it was "
     "converted from (config.json, tokenizer.json, model*.safetensors)"},
    {"", ".bin", kPickleAdvice},
    {"", ".pt", kPickleAdvice},
    {"", ".pth", kPickleAdvice},
    {"", ".ckpt", kPickleAdvice},
    {"", ".safetensors", "a safetensors file without model.safetensors.index.json: download the index too"},
};

const OtherFormat* format_of(std::string_view name) {
  for (const OtherFormat& format : kOtherFormats) {
    if (name.starts_with(format.prefix) && name.ends_with(format.suffix)) return &format;
  }
  return nullptr;
}

// The folder has no weights under the names fathom reads: refuses the formats people have instead.
void refuse_other_formats(const fs::path& model_dir) {
  const OtherFormat* telling = nullptr;
  std::string found;
  for (const fs::directory_entry& entry : fs::directory_iterator(model_dir)) {
    const std::string name = entry.path().filename().string();
    const OtherFormat* format = format_of(name);
    if (format == nullptr || (telling != nullptr && telling < format)) continue;
    if (telling == format && found < name) continue;  // folders list their files in no order
    telling = format;
    found = name;
  }
  if (telling == nullptr) return;
  bad_input(model_dir.string(), "expected {} or {}, found {}: {}", kSingleFile, kIndexFile,
            json_quoted(found), telling->advice);
}

// A weight_map value: a relative path that stays inside the folder as it is written.
void check_shard_name(const std::string& name, const std::string& where) {
  const fs::path path = fs::path(name).lexically_normal();
  const bool inside = !name.empty() && name.find('\0') == std::string::npos && path.is_relative() &&
                      *path.begin() != ".." && path.has_filename() && path != ".";
  if (!inside) {
    bad_input(where, "weight_map: expected names of files inside the model folder, found {}",
              json_quoted(name));
  }
}

WeightFiles read_index(const fs::path& model_dir, const fs::path& path) {
  WeightFiles files = parse_weight_index(read_file(path), path);
  for (const std::string& name : files.shards) {
    std::error_code status;
    if (fs::is_regular_file(model_dir / name, status)) continue;
    bad_input(path.string(),
              "weight_map names shard {}, which is no file of this folder: download it, or re-make the index",
              json_quoted(name));
  }
  return files;
}

}  // namespace

WeightFiles parse_weight_index(std::string_view json_text, const fs::path& index_path) {
  const std::string where = index_path.string();
  const json index = parse_json(json_text, where);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    bad_input(where, "expected an object with a \"weight_map\" object");
  }
  const json& weight_map = index["weight_map"];
  std::map<std::string, size_t> number_of;
  for (const auto& [tensor, file] : weight_map.items()) {
    if (!file.is_string()) {
      bad_input(where, "weight_map: tensor {}: expected a file name, found {}", json_quoted(tensor),
                file.type_name());
    }
    number_of.emplace(file.get<std::string>(), 0);
  }
  WeightFiles files{.index = index_path, .shards = {}, .weight_map = {}, .total_size = {}};
  for (auto& [name, number] : number_of) {
    check_shard_name(name, where);
    number = files.shards.size();
    files.shards.push_back(name);
  }
  for (const auto& [tensor, file] : weight_map.items()) {
    files.weight_map.emplace_back(tensor, number_of[file.get_ref<const std::string&>()]);
  }
  if (const auto metadata = index.find("metadata"); metadata != index.end() && metadata->is_object()) {
    const auto size = metadata->find("total_size");
    if (size != metadata->end() && size->is_number_unsigned()) files.total_size = size->get<uint64_t>();
  }
  return files;
}

std::optional<WeightFiles> find_weight_files(const fs::path& model_dir) {
  std::error_code status;
  if (!fs::exists(model_dir, status)) {
    bad_input(model_dir.string(), "no such folder; expected a Hugging Face model folder");
  }
  if (!fs::is_directory(model_dir, status)) {
    const OtherFormat* format = format_of(model_dir.filename().string());
    bad_input(model_dir.string(), "is a file; expected a Hugging Face model folder{}{}",
              format == nullptr ? "" : ". It looks like ", format == nullptr ? "" : format->advice);
  }
  const fs::path single = model_dir / kSingleFile;
  const fs::path index = model_dir / kIndexFile;
  const bool has_single = fs::exists(single, status);
  const bool has_index = fs::exists(index, status);
  if (has_single && has_index) {
    bad_input(model_dir.string(), "holds both {} and {}: remove the one that is not this model's",
              kSingleFile, kIndexFile);
  }
  if (has_index) return read_index(model_dir, index);
  if (!has_single) {
    refuse_other_formats(model_dir);
    return std::nullopt;
  }
  return WeightFiles{.index = {}, .shards = {kSingleFile}, .weight_map = {}, .total_size = {}};
}

}  // namespace fathom::engine
