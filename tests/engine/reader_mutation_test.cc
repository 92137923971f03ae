// The readers of untrusted files under thousands of deterministic mutations of valid ones: the short,
// always-on cousin of the libFuzzer targets in tests/fuzz.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/checkpoint.h"
#include "tests/engine/golden_weights.h"
#include "tests/fuzz/reader_properties.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

constexpr int kMutationsPerSeed = 4000;

std::vector<std::string> read_corpus(const std::string& name) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(FATHOM_SOURCE_DIR "/tests/fuzz/corpus/" + name)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const auto& path : paths) corpus.push_back(read_file(path));
  return corpus;
}

// One to four small edits: a byte, a run of bytes, a number, or a piece of another file.
class Mutator {
 public:
  explicit Mutator(std::vector<std::string> corpus) : corpus_(std::move(corpus)) {}

  std::string mutate(std::string text) {
    for (uint64_t n = 1 + below(4); n > 0; --n) edit(text);
    return text;
  }

 private:
  uint64_t below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  void edit(std::string& text) {
    static const std::string kPieces[] = {"0",
                                          "-1",
                                          "18446744073709551615",
                                          "9223372036854775808",
                                          "1e999",
                                          "null",
                                          "true",
                                          "[",
                                          "{",
                                          "\"\"",
                                          "]",
                                          "}",
                                          ",",
                                          ":",
                                          "\xff",
                                          "\\u0000",
                                          "../",
                                          "[[[["};
    const size_t at = below(text.size() + 1);
    const size_t length = std::min<size_t>(below(20), text.size() - at);
    switch (below(7)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(at, text.substr(below(text.size()), length));
        break;
      case 4:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 5:
        replace_number(text, at, kPieces[below(6)]);
        break;
      default:
        const std::string& other = corpus_[below(corpus_.size())];
        text.replace(at, length, other.substr(below(other.size()), below(60)));
    }
  }

  // Replaces the first number at or after `at`.
  static void replace_number(std::string& text, size_t at, const std::string& number) {
    const size_t begin = text.find_first_of("0123456789", at);
    if (begin == std::string::npos) return;
    const size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
    text.replace(begin, end - begin, number);
  }

  std::vector<std::string> corpus_;
  std::mt19937_64 random_{20240507};
};

// Both outcomes must occur, or the mutations prove nothing.
void expect_survives(const std::string& corpus_name, bool (*read)(std::string_view),
                     int least_accepted = 100) {
  const std::vector<std::string> corpus = read_corpus(corpus_name);
  ASSERT_GE(corpus.size(), 3u);
  Mutator mutator(corpus);
  int accepted = 0;
  int refused = 0;
  for (const std::string& seed : corpus) {
    read(seed);
    for (int i = 0; i < kMutationsPerSeed; ++i) ++(read(mutator.mutate(seed)) ? accepted : refused);
    for (size_t n = 0; n < seed.size(); ++n) read(std::string_view(seed).substr(0, n));
  }
  EXPECT_GE(accepted, least_accepted);
  EXPECT_GT(refused, 1000);
  EXPECT_EQ(accepted + refused, static_cast<int>(corpus.size()) * kMutationsPerSeed);
}

TEST(ReaderMutation, SafetensorsEndInTensorsOrAnError) {
  expect_survives("safetensors", fuzz::read_safetensors);
}
TEST(ReaderMutation, ConfigsEndInAConfigOrAnError) {
  expect_survives("config", fuzz::read_config);
}
TEST(ReaderMutation, WeightIndexesEndInFilesOrAnError) {
  expect_survives("weight_index", fuzz::read_weight_index);
}
TEST(ReaderMutation, TokenizersEndInIdsOfTheVocabularyOrAnError) {
  expect_survives("tokenizer", fuzz::read_tokenizer, 30);  // hardly an edit leaves every byte its token
}

// A whole model folder: the files are valid by themselves more often than they fit together.
TEST(ReaderMutation, CheckpointFoldersEndInWeightsOrAnError) {
  testing::TemporaryFolder folder;
  nlohmann::json config = golden::config('A');
  config.update(
      {{"hidden_size", 4}, {"num_hidden_layers", 2}, {"num_attention_heads", 1}, {"num_key_value_heads", 1}});
  config.update({{"q_lora_rank", 2}, {"kv_lora_rank", 2}, {"qk_nope_head_dim", 2}, {"qk_rope_head_dim", 2}});
  config.update(
      {{"v_head_dim", 2}, {"intermediate_size", 2}, {"moe_intermediate_size", 2}, {"n_routed_experts", 4}});
  config.update({{"num_experts_per_tok", 1}, {"n_shared_experts", 1}, {"vocab_size", 8}});
  golden::write_checkpoint(folder.path(), config, golden::tensors(config, {}));
  const std::string files[] = {"config.json", "model.safetensors"};
  const std::string valid[] = {read_file(folder / files[0]), read_file(folder / files[1])};
  Mutator mutator({valid[0], valid[1]});
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const int which = i % 2;
    golden::write_bytes(folder / files[which], mutator.mutate(valid[which]));
    ++(fuzz::ends_in_bad_input_or_value([&] { Checkpoint::load(folder.path()); }) ? accepted : refused);
    golden::write_bytes(folder / files[which], valid[which]);
  }
  EXPECT_GT(accepted, 30);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace fathom::engine
