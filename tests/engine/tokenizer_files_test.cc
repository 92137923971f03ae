// tokenizer.json and tokenizer_config.json: what is accepted in more than one spelling, how BOS is decided,
// and what is refused.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/sha256.h"
#include "engine/tokenizer.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

const std::string kFolder = FATHOM_SOURCE_DIR "/tests/golden/tokenizer";
const std::string kBos = "<\uFF5Cbegin\u2581of\u2581sentence\uFF5C>";

// The golden tokenizer's files, changed by a test.
class TokenizerFilesTest : public ::testing::Test {
 protected:
  Tokenizer parse() const { return parse_text(json_.dump()); }
  Tokenizer parse_text(const std::string& tokenizer_json) const {
    const std::string config = config_.dump();
    return Tokenizer::parse(
        {.tokenizer_json = tokenizer_json, .tokenizer_config_json = config, .folder = "dir/"});
  }
  void expect_refused(std::initializer_list<std::string_view> words) const {
    fathom::testing::expect_bad_input([this] { parse(); }, words);
  }
  void expect_text_refused(const std::string& text, std::initializer_list<std::string_view> words) const {
    fathom::testing::expect_bad_input([&] { parse_text(text); }, words);
  }
  json& model() { return json_["model"]; }
  json& added_token(size_t i) { return json_["added_tokens"][i]; }
  // As transformers 4 writes it for add_bos_token.
  static json template_processing(TokenId bos) {
    const json special = {{"SpecialToken", {{"id", kBos}, {"type_id", 0}}}};
    const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
    return {{"type", "TemplateProcessing"},
            {"single", {special, text}},
            {"pair", json::array()},
            {"special_tokens", {{kBos, {{"id", kBos}, {"ids", {bos}}, {"tokens", {kBos}}}}}}};
  }

  json json_ = json::parse(read_file(kFolder + "/tokenizer.json"));
  json config_ = json::parse(read_file(kFolder + "/tokenizer_config.json"));
};

using Accepted = TokenizerFilesTest;
using Bos = TokenizerFilesTest;
using Refused = TokenizerFilesTest;

TEST_F(Accepted, MergesInBothNotations) {
  const std::string text = "Ana counts the lantern, and the answer is 7.";
  const std::vector<TokenId> expected = parse().encode(text);
  for (json& merge : model()["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  EXPECT_EQ(parse().encode(text), expected);
  EXPECT_LT(expected.size(), text.size() / 2) << "merges are used";
}

TEST_F(Accepted, MergesInFrontOfTheVocabulary) {
  std::string text = json_.dump();  // keys sorted: merges come before vocab
  ASSERT_LT(text.find("\"merges\""), text.find("\"vocab\""));
  EXPECT_EQ(parse_text(text).encode("the"), Tokenizer::load(kFolder).encode("the"));
}

TEST_F(Accepted, OldFilesWithoutIgnoreMergesAndWithNulls) {
  model().erase("ignore_merges");
  model()["continuing_subword_prefix"] = "";
  json_["normalizer"] = nullptr;
  json_["post_processor"] = nullptr;
  EXPECT_EQ(parse().encode("the").size(), 2u);
}

TEST_F(Accepted, TheChatTemplateOfTheConfigOrOfItsOwnFile) {
  EXPECT_EQ(parse().chat_template(), config_["chat_template"].get<std::string>());
  const fathom::testing::TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.json", json_.dump());
  write_file_atomically(folder / "tokenizer_config.json", config_.dump());
  write_file_atomically(folder / "chat_template.jinja", "own file");
  EXPECT_EQ(Tokenizer::load(folder.path()).chat_template(), "own file");
  config_["chat_template"] = {{{"name", "tool_use"}, {"template", "T"}},
                              {{"name", "default"}, {"template", "D"}}};
  EXPECT_EQ(parse().chat_template(), "D");
  config_.erase("chat_template");
  EXPECT_FALSE(parse().chat_template().has_value());
}

TEST_F(Accepted, TheHashIsOfTheFileAsItIs) {
  EXPECT_EQ(parse_text(json_.dump(2)).sha256(), fathom::sha256(json_.dump(2)));
}

TEST_F(Bos, TheCheckpointsAddBosTokenDecides) {
  EXPECT_TRUE(parse().adds_bos(BosRule::kCheckpoint));
  config_["add_bos_token"] = false;
  EXPECT_FALSE(parse().adds_bos(BosRule::kCheckpoint));
  EXPECT_TRUE(parse().adds_bos(BosRule::kOn));
  EXPECT_FALSE(parse().adds_bos(BosRule::kOff));
}

TEST_F(Bos, WithoutAddBosTokenLlamasClassAddsIt) {
  config_.erase("add_bos_token");
  EXPECT_TRUE(parse().adds_bos(BosRule::kCheckpoint));
  config_["tokenizer_class"] = "TokenizersBackend";  // what transformers 5 writes
  EXPECT_FALSE(parse().adds_bos(BosRule::kCheckpoint));
  config_.erase("tokenizer_class");
  EXPECT_FALSE(parse().adds_bos(BosRule::kCheckpoint));
}

TEST_F(Bos, WithoutAddBosTokenThePostProcessorAddsIt) {
  config_.erase("add_bos_token");
  config_["tokenizer_class"] = "PreTrainedTokenizerFast";
  json_["post_processor"] = {{"type", "Sequence"},
                             {"processors", {{{"type", "ByteLevel"}}, template_processing(503)}}};
  EXPECT_TRUE(parse().adds_bos(BosRule::kCheckpoint));
  config_["add_bos_token"] = false;
  EXPECT_FALSE(parse().adds_bos(BosRule::kCheckpoint));
}

TEST_F(Bos, IsNamedByTextOrObject) {
  EXPECT_EQ(parse().bos_id(), 503);
  config_["bos_token"] = kBos;
  EXPECT_EQ(parse().bos_id(), 503);
  EXPECT_EQ(parse().eos_id(), 504);
}

TEST_F(Bos, OnWithoutBosTokenIsAnError) {
  config_.erase("bos_token");
  expect_refused({"dir/tokenizer_config.json", "add_bos_token", "no bos_token"});
  config_["add_bos_token"] = false;
  fathom::testing::expect_bad_input([this] { parse().with_bos({1}, BosRule::kOn); },
                                    {"--bos on", "bos_token"});
}

TEST_F(Bos, AnotherBosInThePostProcessorIsAnError) {
  json_["post_processor"] = template_processing(504);
  expect_refused({"dir/tokenizer_config.json", "503", "504"});
}

TEST_F(Refused, WhatWouldChangeIds) {
  const std::vector<std::tuple<std::string, json, std::string>> changes = {
      {"/truncation", {{"max_length", 5}}, "truncation"},
      {"/padding", {{"length", 5}}, "padding"},
      {"/normalizer", {{"type", "NFC"}}, "normalizer"},
      {"/version", "2.0", "version"},
      {"/decoder/type", "Metaspace", "decoder"},
      {"/surprise", 1, "surprise"},
      {"/post_processor", {{"type", "BertProcessing"}}, "BertProcessing"},
      {"/model/type", "WordPiece", "WordPiece"},
      {"/model/dropout", 0.1, "dropout"},
      {"/model/unk_token", "<unk>", "unk_token"},
      {"/model/continuing_subword_prefix", "##", "continuing_subword_prefix"},
      {"/model/end_of_word_suffix", "</w>", "end_of_word_suffix"},
      {"/model/byte_fallback", true, "byte_fallback"},
      {"/model/ignore_merges", "yes", "ignore_merges"},
      {"/model/surprise", 1, "surprise"},
      {"/added_tokens/1/lstrip", true, "lstrip"},
      {"/added_tokens/1/rstrip", true, "rstrip"},
      {"/added_tokens/1/single_word", true, "single_word"},
      {"/added_tokens/1/id", 7, "id is 7; only 503"},
      {"/added_tokens/1/content", "", "content is empty"},
      {"/added_tokens/1/special", 1, "special"},
      {"/added_tokens", "none", "added_tokens"},
      {"/model/vocab", json::object(), "vocab is missing or empty"},
      {"/model/vocab", json::array(), "vocab: expected an object"},
      {"/model/vocab/!", 1.5, "expected an id for"},
      {"/model/vocab/!", 5000, "expected the 503 ids from 0 to 502"},
      {"/model/vocab/!", -1, "expected the 503 ids from 0 to 502"},
      {"/model/vocab/!", 1, "id 1 stands for"},
      {"/model/merges", 7, "merges: expected an array"},
      {"/model/merges/3", "one", "merges[3]: expected"},
      {"/model/merges/3", "a b c", "merges[3]: expected"},
      {"/model/merges/3", {"a", "b", "c"}, "merges[3]: expected"},
      {"/model/merges/3", json::array({"a"}), "merges[3]: expected"},
      {"/model/merges/3", {"a", 7}, "merges[3]: expected"},
      {"/model/merges/3", {"zz", "q"}, "merges[3]: \"zz\" is no token"},
  };
  const json original = json_;
  for (const auto& [path, value, word] : changes) {
    SCOPED_TRACE(path);
    json_ = original;
    json_[json::json_pointer(path)] = value;
    expect_refused({"dir/tokenizer.json", word});
  }
}

TEST_F(Refused, WhatIsMissing) {
  const json original = json_;
  for (const char* key : {"model", "pre_tokenizer", "decoder"}) {
    json_ = original;
    json_.erase(key);
    expect_refused({"dir/tokenizer.json", key, "missing"});
  }
}

TEST_F(Refused, AByteWithoutToken) {
  json vocab = json::object();
  for (const auto& [text, id] : model()["vocab"].items()) {
    if (id != 0) vocab[text == "a" ? "unused" : text] = id.get<int>() - 1;
  }
  model()["vocab"] = vocab;
  model()["merges"] = json::array();
  json_["added_tokens"] = json::array();
  config_ = {{"add_bos_token", false}};
  expect_refused({"dir/tokenizer.json", "no token for byte 0x21"});
}

TEST_F(Refused, BrokenText) {
  const std::string text = json_.dump();
  expect_text_refused("", {"dir/tokenizer.json", "not valid JSON"});
  expect_text_refused("[]", {"dir/tokenizer.json", "array"});
  expect_text_refused(text.substr(0, text.size() / 2), {"dir/tokenizer.json", "not valid JSON"});
  expect_text_refused(text + "x", {"dir/tokenizer.json", "not valid JSON"});
  expect_text_refused(std::string(100, '['), {"dir/tokenizer.json", "nested deeper"});
}

TEST_F(Refused, AKeyThatAppearsTwice) {
  const std::string text = json_.dump();
  for (const std::string key : {"model", "version"}) {
    expect_text_refused("{\"" + key + "\":{}," + text.substr(1), {"key \"" + key + "\" appears twice"});
  }
  const size_t vocab = text.find("\"vocab\":{");
  ASSERT_NE(vocab, std::string::npos);
  expect_text_refused(text.substr(0, vocab) + "\"vocab\":{}," + text.substr(vocab),
                      {"key \"vocab\" appears twice"});
  std::string twice = text;
  twice.insert(vocab + 9, "\"!\":0,");
  expect_text_refused(twice, {"dir/tokenizer.json", "model.vocab"});
}

TEST_F(Refused, ConfigsThatTransformersWouldReadDifferently) {
  const std::vector<std::tuple<std::string, json, std::string>> changes = {
      {"add_eos_token", true, "add_eos_token"},
      {"add_bos_token", "yes", "add_bos_token"},
      {"clean_up_tokenization_spaces", true, "clean_up_tokenization_spaces"},
      {"pad_token", "<pad>", "<pad>"},
      {"unk_token", "<unk>", "<unk>"},
      {"bos_token", 5, "bos_token is 5"},
      {"additional_special_tokens", {"<extra>"}, "<extra>"},
      {"added_tokens_decoder", {{"503", {{"content", "other"}}}}, "other"},
      {"added_tokens_decoder", {{"502", {{"content", kBos}}}}, "added_tokens_decoder[\"502\"]"},
      {"added_tokens_decoder", {{"503", {{"content", kBos}, {"special", false}}}}, "special is false"},
      {"added_tokens_decoder", {{"503", {{"content", kBos}, {"lstrip", true}}}}, "lstrip is true"},
      {"chat_template", 5, "chat_template"},
      {"chat_template", {{{"name", "rag"}, {"template", "R"}}}, "default"},
  };
  const json original = config_;
  for (const auto& [key, value, word] : changes) {
    SCOPED_TRACE(key + word);
    config_ = original;
    config_[key] = value;
    expect_refused({"dir/tokenizer_config.json", word});
  }
}

TEST_F(Refused, PostProcessorsThatAddMoreThanBos) {
  json_["post_processor"] = template_processing(503);
  json_["post_processor"]["single"].push_back(json_["post_processor"]["single"][0]);
  expect_refused({"dir/tokenizer.json", "only a BOS token"});
  json_["post_processor"] = {{"type", "Sequence"},
                             {"processors", {template_processing(503), template_processing(503)}}};
  expect_refused({"dir/tokenizer.json", "two steps"});
}

TEST(TokenizerFolder, MissingFilesAreNamed) {
  const fathom::testing::TemporaryFolder folder;
  fathom::testing::expect_bad_input([&] { Tokenizer::load(folder.path()); }, {"tokenizer.json"});
  write_file_atomically(folder / "tokenizer.json", read_file(kFolder + "/tokenizer.json"));
  fathom::testing::expect_bad_input([&] { Tokenizer::load(folder.path()); }, {"tokenizer_config.json"});
}

}  // namespace
}  // namespace fathom::engine
