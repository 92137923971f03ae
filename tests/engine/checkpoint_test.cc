#include "engine/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

using golden::Format;
using golden::NamedTensor;
using kernels::Dtype;
using nlohmann::json;
using testing::expect_bad_input;
using testing::TemporaryFolder;

std::string bytes_of(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.data), tensor.bytes()};
}

std::vector<float> numbers(const Tensor& tensor) {
  EXPECT_EQ(tensor.dtype, Dtype::kF32);
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  std::memcpy(values.data(), tensor.data, tensor.bytes());
  return values;
}

// Every weight of the engine's structure under its per-expert checkpoint name, written by hand and apart from
// the tensor table.
std::map<std::string, Tensor> all_weights(const Weights& w) {
  std::map<std::string, Tensor> all = {{"model.embed_tokens.weight", w.embed_tokens},
                                       {"model.norm.weight", w.norm},
                                       {"lm_head.weight", w.lm_head}};
  const auto add_mlp = [&](const std::string& prefix, const MlpWeights& mlp) {
    all[prefix + ".gate_proj.weight"] = mlp.gate_proj;
    all[prefix + ".up_proj.weight"] = mlp.up_proj;
    all[prefix + ".down_proj.weight"] = mlp.down_proj;
  };
  for (size_t i = 0; i < w.layers.size(); ++i) {
    const LayerWeights& layer = w.layers[i];
    const std::string prefix = fmt::format("model.layers.{}.", i);
    all[prefix + "input_layernorm.weight"] = layer.input_layernorm;
    all[prefix + "post_attention_layernorm.weight"] = layer.post_attention_layernorm;
    const AttentionWeights& a = layer.self_attn;
    const std::string attention = prefix + "self_attn.";
    all[attention + "q_proj.weight"] = a.q_proj;
    all[attention + "q_a_proj.weight"] = a.q_a_proj;
    all[attention + "q_a_proj.bias"] = a.q_a_proj_bias;
    all[attention + "q_a_layernorm.weight"] = a.q_a_layernorm;
    all[attention + "q_b_proj.weight"] = a.q_b_proj;
    all[attention + "kv_a_proj_with_mqa.weight"] = a.kv_a_proj_with_mqa;
    all[attention + "kv_a_proj_with_mqa.bias"] = a.kv_a_proj_with_mqa_bias;
    all[attention + "kv_a_layernorm.weight"] = a.kv_a_layernorm;
    all[attention + "kv_b_proj.weight"] = a.kv_b_proj;
    all[attention + "o_proj.weight"] = a.o_proj;
    all[attention + "o_proj.bias"] = a.o_proj_bias;
    EXPECT_NE(layer.mlp.has_value(), layer.moe.has_value());
    if (layer.mlp) add_mlp(prefix + "mlp", *layer.mlp);
    if (!layer.moe) continue;
    all[prefix + "mlp.gate.weight"] = layer.moe->gate;
    for (size_t e = 0; e < layer.moe->experts.size(); ++e) {
      add_mlp(fmt::format("{}mlp.experts.{}", prefix, e), layer.moe->experts[e]);
    }
    if (layer.moe->shared_experts) add_mlp(prefix + "mlp.shared_experts", *layer.moe->shared_experts);
  }
  std::erase_if(all, [](const auto& item) { return item.second.data == nullptr; });
  return all;
}

// Loads `folder` and compares every weight with the tensors it was written from.
void expect_loads(const std::filesystem::path& folder, const json& config, const Format& format) {
  const Checkpoint checkpoint = Checkpoint::load(folder);
  EXPECT_TRUE(checkpoint.warnings().empty()) << checkpoint.warnings()[0];
  std::map<std::string, Tensor> weights = all_weights(checkpoint.weights());
  Format per_expert = format;
  per_expert.stacked_experts = false;
  for (const NamedTensor& expected : golden::tensors(config, per_expert)) {
    const auto it = weights.find(expected.name);
    ASSERT_NE(it, weights.end()) << expected.name;
    EXPECT_EQ(kernels::dtype_name(it->second.dtype), expected.dtype) << expected.name;
    EXPECT_EQ(std::vector<int64_t>(it->second.shape.begin(), it->second.shape.begin() + it->second.rank),
              expected.shape)
        << expected.name;
    EXPECT_EQ(bytes_of(it->second), expected.bytes) << expected.name;
    weights.erase(it);
  }
  EXPECT_TRUE(weights.empty()) << weights.begin()->first;
}

TEST(Checkpoint, LoadsTheGoldenConfigurations) {
  for (char which : {'A', 'B', 'C', 'D'}) {
    TemporaryFolder folder;
    golden::write_checkpoint(folder.path(), which);
    expect_loads(folder.path(), golden::config(which), {});
  }
}

TEST(Checkpoint, LoadsThreeShardsByTheNamesOfTheIndex) {
  TemporaryFolder folder;
  golden::write_checkpoint(folder.path(), 'A', {}, 3);
  ASSERT_TRUE(exists(folder / "model-00003-of-000003.safetensors"));
  expect_loads(folder.path(), golden::config('A'), {});
}

TEST(Checkpoint, LoadsStackedExperts) {
  TemporaryFolder folder;
  const Format format{.stacked_experts = true};
  golden::write_checkpoint(folder.path(), 'A', format);
  expect_loads(folder.path(), golden::config('A'), format);
}

TEST(Checkpoint, LoadsBf16WithAFloat32Gate) {
  TemporaryFolder folder;
  const Format format{.dtype = Dtype::kBF16, .gate_dtype = Dtype::kF32};
  golden::write_checkpoint(folder.path(), 'A', format, 3);
  expect_loads(folder.path(), golden::config('A'), format);
}

TEST(Checkpoint, LoadsFp16) {
  TemporaryFolder folder;
  const Format format{.dtype = Dtype::kF16, .gate_dtype = Dtype::kF16};
  golden::write_checkpoint(folder.path(), 'B', format);
  expect_loads(folder.path(), golden::config('B'), format);
}

TEST(Checkpoint, LoadsTheBiasesOfAttentionBias) {
  for (char which : {'A', 'B'}) {
    TemporaryFolder folder;
    json config = golden::config(which);
    config["attention_bias"] = true;
    golden::write_checkpoint(folder.path(), config, golden::tensors(config, {}));
    expect_loads(folder.path(), config, {});
  }
}

TEST(Checkpoint, LoadsEveryLayerPattern) {
  for (const json& change :
       {json{{"num_hidden_layers", 6}, {"moe_layer_freq", 2}}, json{{"n_routed_experts", nullptr}},
        json{{"n_shared_experts", nullptr}}, json{{"first_k_dense_replace", 3}}}) {
    TemporaryFolder folder;
    json config = golden::config('A');
    config.update(change);
    golden::write_checkpoint(folder.path(), config, golden::tensors(config, {}));
    expect_loads(folder.path(), config, {});
  }
}

// The hub cache: snapshots/<revision>/name -> ../../blobs/<hash>.
TEST(Checkpoint, LoadsSymlinkedHubSnapshots) {
  TemporaryFolder folder;
  const auto blobs = folder / "blobs";
  const auto snapshot = folder / "snapshots" / "85864749cd611b4353ce1decdb286193298f64c7";
  golden::write_checkpoint(blobs, 'A', {}, 3);
  create_directories(snapshot);
  int n_links = 0;
  for (const auto& entry : std::filesystem::directory_iterator(blobs)) {
    const std::string blob = fmt::format("{:040x}", n_links++);
    const std::string name = entry.path().filename();
    rename(entry.path(), blobs / blob);
    create_symlink(std::filesystem::path("../../blobs") / blob, snapshot / name);
  }
  EXPECT_EQ(n_links, 5);
  expect_loads(snapshot, golden::config('A'), {});
}

TEST(Checkpoint, MapsTensorsInsteadOfCopyingThem) {
  TemporaryFolder folder;
  golden::write_checkpoint(folder.path(), 'A');
  const Checkpoint checkpoint = Checkpoint::load(folder.path());
  // The file's own order: embed_tokens first, lm_head last, nothing between the tensors.
  const auto* first = static_cast<const char*>(checkpoint.weights().embed_tokens.data);
  const auto* last = static_cast<const char*>(checkpoint.weights().lm_head.data);
  size_t total = 0;
  for (const CheckpointTensor& tensor : checkpoint.tensors()) total += tensor.tensor.bytes();
  EXPECT_EQ(last + checkpoint.weights().lm_head.bytes() - first, static_cast<ptrdiff_t>(total));
}

TEST(Checkpoint, ListsItsFilesTensorsAndConfig) {
  TemporaryFolder folder;
  golden::write_checkpoint(folder.path(), 'A', {}, 2);
  const Checkpoint checkpoint = Checkpoint::load(folder.path());
  ASSERT_EQ(checkpoint.files().size(), 4u);
  const char* names[] = {"config.json", "model.safetensors.index.json", "model-00001-of-000002.safetensors",
                         "model-00002-of-000002.safetensors"};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(checkpoint.files()[i].path, folder / names[i]);
    EXPECT_EQ(checkpoint.files()[i].size_bytes, file_size(folder / names[i]));
  }
  EXPECT_EQ(checkpoint.config_text(), golden::config('A').dump(2));
  EXPECT_EQ(checkpoint.config().hidden_size, 64);
  EXPECT_EQ(checkpoint.tensors().size(), golden::tensors(golden::config('A'), {}).size());
  EXPECT_EQ(checkpoint.tensors()[0].name, "model.embed_tokens.weight");
}

TEST(Checkpoint, TiedEmbeddingsServeAsHead) {
  TemporaryFolder folder;
  json config = golden::config('A');
  config["tie_word_embeddings"] = true;
  std::vector<NamedTensor> tensors = golden::tensors(config, {});
  golden::write_checkpoint(folder.path(), config, tensors);
  {
    const Checkpoint checkpoint = Checkpoint::load(folder.path());
    EXPECT_EQ(checkpoint.weights().lm_head.data, checkpoint.weights().embed_tokens.data);
  }
  // A stored head must be the embedding.
  tensors.push_back(tensors[0]);
  tensors.back().name = "lm_head.weight";
  golden::write_checkpoint(folder.path(), config, tensors);
  EXPECT_NO_THROW(Checkpoint::load(folder.path()));
  tensors.back().bytes[100] ^= 1;
  golden::write_checkpoint(folder.path(), config, tensors);
  expect_bad_input([&] { Checkpoint::load(folder.path()); },
                   {"lm_head.weight", "embed_tokens", "tie_word_embeddings"});
}

// The format allows any header length, so float32 data may begin at an odd address.
TEST(Checkpoint, CopiesAndReportsTensorsAtUnalignedAddresses) {
  TemporaryFolder folder;
  golden::write_checkpoint(folder.path(), 'A');
  std::ifstream in(folder / "model.safetensors", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  bytes.insert(8 + length, " ");
  ++length;
  std::memcpy(bytes.data(), &length, 8);
  golden::write_bytes(folder / "model.safetensors", bytes);
  const Checkpoint checkpoint = Checkpoint::load(folder.path());
  ASSERT_EQ(checkpoint.warnings().size(), 1u);
  EXPECT_NE(checkpoint.warnings()[0].find("unaligned"), std::string::npos);
  EXPECT_EQ(numbers(checkpoint.weights().lm_head), golden::values("lm_head.weight", 128 * 64));
}

TEST(Checkpoint, WarnsWhenTheIndexStatesAnotherSize) {
  TemporaryFolder folder;
  golden::write_checkpoint(folder.path(), 'A', {}, 2);
  std::ifstream in(folder / "model.safetensors.index.json");
  json index = json::parse(in);
  index["metadata"]["total_size"] = 17;
  golden::write_bytes(folder / "model.safetensors.index.json", index.dump());
  const Checkpoint checkpoint = Checkpoint::load(folder.path());
  ASSERT_EQ(checkpoint.warnings().size(), 1u);
  EXPECT_NE(checkpoint.warnings()[0].find("17"), std::string::npos);
}

// Refusals. Each starts from configuration A and changes one thing.
class CheckpointRefuses : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  json config = golden::config('A');
  std::vector<NamedTensor> tensors = golden::tensors(config, {});

  NamedTensor& tensor(const std::string& name) {
    const auto it =
        std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
    EXPECT_NE(it, tensors.end()) << name;
    return *it;
  }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const NamedTensor& t) { return t.name == name; });
  }
  // Writes the checkpoint and expects an error with these words.
  void refuse(std::initializer_list<std::string_view> words, int n_shards = 1) {
    golden::write_checkpoint(folder.path(), config, tensors, n_shards);
    refuse_folder(words);
  }
  void refuse_folder(std::initializer_list<std::string_view> words) {
    expect_bad_input([&] { Checkpoint::load(folder.path()); }, words);
  }
  // Rewrites the index of a sharded checkpoint.
  template <typename Edit>
  void refuse_index(const Edit& edit, std::initializer_list<std::string_view> words) {
    golden::write_checkpoint(folder.path(), config, tensors, 3);
    const auto path = folder / "model.safetensors.index.json";
    std::ifstream in(path);
    json index = json::parse(in);
    edit(index);
    golden::write_bytes(path, index.dump());
    refuse_folder(words);
  }
};

constexpr const char* kNorm = "model.norm.weight";

TEST_F(CheckpointRefuses, AMissingTensor) {
  remove(kNorm);
  refuse({"model.safetensors", "missing", kNorm});
}

TEST_F(CheckpointRefuses, ManyMissingTensorsInOneError) {
  std::erase_if(tensors, [](const NamedTensor& t) { return t.name.find("model.layers.2.") == 0; });
  refuse({"missing", "model.layers.2.input_layernorm.weight", "more"});
}

TEST_F(CheckpointRefuses, AnExtraTensor) {
  tensors.push_back({"model.layers.0.self_attn.k_norm.weight", "F32", {1}, "1234"});
  refuse({"model.safetensors", "not part of the model", "k_norm"});
}

TEST_F(CheckpointRefuses, AMisshapenTensor) {
  NamedTensor& t = tensor("model.layers.1.self_attn.q_b_proj.weight");
  std::swap(t.shape[0], t.shape[1]);
  refuse({"model.safetensors", t.name, "[H*(dn+dr), rq] = [96, 24]", "[24, 96]"});
}

TEST_F(CheckpointRefuses, AMistypedTensor) {
  NamedTensor& t = tensor(kNorm);
  t.dtype = "I32";
  refuse({"model.safetensors", kNorm, "BF16 F16 F32", "I32"});
}

TEST_F(CheckpointRefuses, Fp8Weights) {
  NamedTensor& t = tensor("model.layers.0.mlp.up_proj.weight");
  t.dtype = "F8_E4M3";
  t.bytes.resize(t.bytes.size() / 4);
  refuse({t.name, "BF16 F16 F32", "F8_E4M3"});
}

TEST_F(CheckpointRefuses, Fp8Scales) {
  tensors.push_back({"model.layers.0.mlp.up_proj.weight_scale_inv", "F32", {1, 1}, "1234"});
  refuse({"weight_scale_inv", "quantised"});
}

TEST_F(CheckpointRefuses, RoutingBiasesOfV3) {
  tensors.push_back({"model.layers.1.mlp.gate.e_score_correction_bias", "F32", {1}, "1234"});
  refuse({"e_score_correction_bias", "V3"});
}

TEST_F(CheckpointRefuses, MultiTokenPredictionLayers) {
  tensors.push_back({"model.layers.3.eh_proj.weight", "F32", {1}, "1234"});
  refuse({"model.layers.3.eh_proj.weight", "multi-token prediction"});
}

TEST_F(CheckpointRefuses, LayersBeyondTheConfig) {
  config["num_hidden_layers"] = 2;
  refuse({"not part of the model", "model.layers.2."});
}

TEST_F(CheckpointRefuses, PlainQWhereTheConfigHasARank) {
  config = golden::config('B');
  tensors = golden::tensors(config, {});
  config["q_lora_rank"] = 24;
  refuse({"q_a_proj", "q_proj", "\"q_lora_rank\": null"});
  config.erase("q_lora_rank");
  refuse({"q_a_proj", "q_proj", "a missing key means 1536"});
}

TEST_F(CheckpointRefuses, CompressedQWhereTheConfigHasNone) {
  config["q_lora_rank"] = nullptr;
  refuse({"q_proj", "q_a_proj", "q_lora_rank must be its rank"});
}

TEST_F(CheckpointRefuses, AMissingHeadWithoutTying) {
  remove("lm_head.weight");
  refuse({"missing", "lm_head.weight"});
}

TEST_F(CheckpointRefuses, HalfStackedExperts) {
  tensors = golden::tensors(config, {.stacked_experts = true});
  remove("model.layers.1.mlp.experts.down_proj");
  refuse({"missing", "model.layers.1.mlp.experts.down_proj"});
}

TEST_F(CheckpointRefuses, ATruncatedFile) {
  golden::write_checkpoint(folder.path(), config, tensors);
  resize_file(folder / "model.safetensors", file_size(folder / "model.safetensors") - 1);
  refuse_folder({"model.safetensors", "lm_head.weight", "truncated"});
}

TEST_F(CheckpointRefuses, AnAbsentFolder) {
  expect_bad_input([&] { Checkpoint::load(folder / "none"); }, {"none", "no such folder"});
}

TEST_F(CheckpointRefuses, AnEmptyFolder) {
  refuse_folder({"model.safetensors", "neither"});
}

TEST_F(CheckpointRefuses, AFolderWithoutConfig) {
  golden::write_checkpoint(folder.path(), config, tensors);
  std::filesystem::remove(folder / "config.json");
  refuse_folder({"config.json", "cannot open"});
}

TEST_F(CheckpointRefuses, PickledWeights) {
  golden::write_bytes(folder / "pytorch_model-00001-of-00002.bin", "x");
  refuse_folder({"pytorch_model-00001-of-00002.bin", "pickled", "save_pretrained"});
}

TEST_F(CheckpointRefuses, GgufFoldersAndFiles) {
  golden::write_bytes(folder / "v2-lite.Q4_K_M.gguf", "GGUF");
  refuse_folder({"v2-lite.Q4_K_M.gguf", "GGUF", "converted from"});
  expect_bad_input([&] { Checkpoint::load(folder / "v2-lite.Q4_K_M.gguf"); },
                   {"is a file", "GGUF", "converted from"});
}

TEST_F(CheckpointRefuses, Adapters) {
  golden::write_bytes(folder / "adapter_model.safetensors", "x");
  golden::write_bytes(folder / "training_args.bin", "x");
  refuse_folder({"adapter_model.safetensors", "merge_and_unload"});
}

TEST_F(CheckpointRefuses, ShardsWithoutAnIndex) {
  golden::write_checkpoint(folder.path(), config, tensors, 3);
  std::filesystem::remove(folder / "model.safetensors.index.json");
  refuse_folder({"model-00001-of-000003.safetensors", "without", "index"});
}

TEST_F(CheckpointRefuses, ASingleFileBesideAnIndex) {
  golden::write_checkpoint(folder.path(), config, tensors, 3);
  golden::write_bytes(folder / "model.safetensors", "x");
  refuse_folder({"both", "model.safetensors.index.json"});
}

TEST_F(CheckpointRefuses, IndexEntriesForAbsentShards) {
  golden::write_checkpoint(folder.path(), config, tensors, 3);
  std::filesystem::remove(folder / "model-00002-of-000003.safetensors");
  refuse_folder({"model.safetensors.index.json", "model-00002-of-000003.safetensors", "download"});
  create_symlink(folder / "nowhere", folder / "model-00002-of-000003.safetensors");
  refuse_folder({"model-00002-of-000003.safetensors", "download"});
}

TEST_F(CheckpointRefuses, IndexEntriesOutsideTheFolder) {
  golden::write_bytes(folder / ".." / (folder.path().filename().string() + ".safetensors"), "x");
  for (const std::string& outside :
       {"../" + folder.path().filename().string() + ".safetensors", std::string("/etc/passwd"),
        std::string("sub/../../x"), std::string(".."), std::string("."), std::string("")}) {
    refuse_index([&](json& index) { index["weight_map"][kNorm] = outside; },
                 {"inside the model folder", outside});
  }
  std::filesystem::remove(folder.path().string() + ".safetensors");
}

TEST_F(CheckpointRefuses, OneTensorInTwoShards) {
  tensors.push_back(tensors[0]);
  refuse(
      {"model.embed_tokens.weight", "model-00001-of-000003.safetensors", "model-00003-of-000003.safetensors"},
      3);
}

TEST_F(CheckpointRefuses, ATensorInAnotherShardThanListed) {
  refuse_index([](json& index) { index["weight_map"][kNorm] = "model-00001-of-000003.safetensors"; },
               {kNorm, "model-00003-of-000003.safetensors", "model-00001-of-000003.safetensors"});
}

TEST_F(CheckpointRefuses, ATensorTheIndexDoesNotList) {
  refuse_index([](json& index) { index["weight_map"].erase(kNorm); },
               {kNorm, "model-00003-of-000003.safetensors", "not listed"});
}

TEST_F(CheckpointRefuses, AnIndexEntryWithoutItsTensor) {
  refuse_index([](json& index) { index["weight_map"]["model.ghost"] = "model-00002-of-000003.safetensors"; },
               {"model.ghost", "model-00002-of-000003.safetensors", "no file"});
}

TEST_F(CheckpointRefuses, BrokenIndexes) {
  refuse_index([](json& index) { index.erase("weight_map"); }, {"index.json", "weight_map"});
  refuse_index([](json& index) { index = json::array({1}); }, {"index.json", "weight_map"});
  refuse_index([](json& index) { index["weight_map"][kNorm] = 3; },
               {"index.json", kNorm, "file name", "number"});
  golden::write_bytes(
      folder / "model.safetensors.index.json",
      R"({"weight_map":{"a":"model-00001-of-000003.safetensors","a":"model-00002-of-000003.safetensors"}})");
  refuse_folder({"index.json", "\"a\"", "twice"});
}

}  // namespace
}  // namespace fathom::engine
