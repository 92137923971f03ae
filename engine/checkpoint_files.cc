#include "engine/checkpoint_files.h"

#include <algorithm>
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

[[noreturn]] void refuse_gguf(const std::string& where) {
  bad_input(
      where,
      "is a GGUF file; fathom reads the Hugging Face checkpoint it was converted from (config.json, "
      "tokenizer.json, "
      "model*.safetensors): use that folder, since a quantised GGUF file cannot be turned back into it");
}

// The folder has no safetensors weights: look for the formats people have instead.
[[noreturn]] void refuse_other_formats(const fs::path& model_dir) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(model_dir))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  const auto first_with = [&](auto matches) {
    const auto it = std::find_if(names.begin(), names.end(), matches);
    return it == names.end() ? std::string() : *it;
  };
  const std::string where = model_dir.string();
  if (const auto name = first_with([](const std::string& n) { return n.starts_with("adapter_"); });
      !name.empty()) {
    bad_input(where,
              "holds an adapter ({}), not a model; merge it into its base model first: "
              "peft.AutoPeftModelForCausalLM.from_pretrained(DIR).merge_and_unload().save_pretrained(OUT)",
              name);
  }
  if (const auto name = first_with([](const std::string& n) { return n.ends_with(".gguf"); });
      !name.empty()) {
    refuse_gguf((model_dir / name).string());
  }
  if (const auto name = first_with([](const std::string& n) {
        return n.ends_with(".bin") || n.ends_with(".pt") || n.ends_with(".pth") || n.ends_with(".ckpt");
      });
      !name.empty()) {
    bad_input(where,
              "holds pickled PyTorch weights ({}), which fathom does not read (unpickling runs code); "
              "convert them: "
              "transformers.AutoModelForCausalLM.from_pretrained(DIR, dtype=\"auto\").save_pretrained(OUT)",
              name);
  }
  if (const auto name = first_with([](const std::string& n) { return n.ends_with(".safetensors"); });
      !name.empty()) {
    bad_input(where, "expected {} or {}, found {} without an index: was the index downloaded too?",
              kSingleFile, kIndexFile, name);
  }
  bad_input(where, "expected {} or {}, found neither", kSingleFile, kIndexFile);
}

// A weight_map value: a relative path that stays inside the folder as it is written.
void check_shard_name(const std::string& name, const std::string& tensor, const std::string& where) {
  const fs::path path = fs::path(name).lexically_normal();
  const bool inside = !name.empty() && name.find('\0') == std::string::npos && path.is_relative() &&
                      *path.begin() != ".." && path.has_filename() && path != ".";
  if (!inside) {
    bad_input(where, "weight_map: tensor {}: expected a file inside the model folder, found {}",
              json_quoted(tensor), json_quoted(name));
  }
}

WeightFiles read_index(const fs::path& model_dir, const fs::path& path) {
  const std::string where = path.string();
  const json index = parse_json(read_file(path), where);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    bad_input(where, "expected an object with a \"weight_map\" object");
  }
  const json& weight_map = index["weight_map"];
  WeightFiles files{.index = path, .shards = {}, .weight_map = {}, .total_size = {}};
  std::map<std::string, size_t> number_of;
  for (const auto& [tensor, file] : weight_map.items()) {
    if (!file.is_string())
      bad_input(where, "weight_map: tensor {}: expected a file name", json_quoted(tensor));
    number_of.emplace(file.get<std::string>(), 0);
  }
  for (auto& [name, number] : number_of) {
    number = files.shards.size();
    files.shards.push_back(name);
  }
  for (const auto& [tensor, file] : weight_map.items()) {
    const std::string& name = file.get_ref<const std::string&>();
    check_shard_name(name, tensor, where);
    files.weight_map.emplace(tensor, number_of[name]);
  }
  for (const std::string& name : files.shards) {
    std::error_code status;
    if (!fs::exists(model_dir / name, status)) {
      bad_input(where,
                "weight_map names shard {}, which is not in the folder: download it, or re-make the index",
                json_quoted(name));
    }
  }
  if (const auto metadata = index.find("metadata"); metadata != index.end() && metadata->is_object()) {
    const auto size = metadata->find("total_size");
    if (size != metadata->end() && size->is_number_unsigned()) files.total_size = size->get<uint64_t>();
  }
  return files;
}

}  // namespace

WeightFiles find_weight_files(const fs::path& model_dir) {
  std::error_code status;
  if (!fs::exists(model_dir, status))
    bad_input(model_dir.string(), "no such folder; expected a Hugging Face model folder");
  if (!fs::is_directory(model_dir, status)) {
    if (model_dir.extension() == ".gguf") refuse_gguf(model_dir.string());
    bad_input(model_dir.string(), "is a file; expected the Hugging Face model folder around it");
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
  if (!has_single) refuse_other_formats(model_dir);
  return WeightFiles{.index = {}, .shards = {kSingleFile}, .weight_map = {}, .total_size = {}};
}

}  // namespace fathom::engine
