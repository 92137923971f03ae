// The tokenizer against Hugging Face `tokenizers`: tests/golden/tokenizer/expected.json, which
// tools/tokenizer/make_goldens.py writes, and the cases that come with DeepSeek's own vocabulary.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "engine/char_classes.h"
#include "engine/tokenizer.h"
#include "tests/engine/tokenizer_corpora.h"
#include "tests/shared_data.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

const std::string kSmall = FATHOM_SOURCE_DIR "/tests/golden/tokenizer";
const std::string kBig = "tokenizer/deepseek-v2";

std::string big_folder() {
  return (fathom::testing::shared_data() / kBig).string();
}

const json& golden() {
  static const json file = json::parse(read_file(kSmall + "/expected.json"));
  return file;
}

// As digest() of the script hashes them.
std::string line_of(const std::vector<TokenId>& ids) {
  return fmt::format("{}\n", fmt::join(ids, ","));
}

// The contents of the added tokens by id: the files list them in that order.
std::vector<std::string> added_tokens(const json& tokenizer_json) {
  std::vector<std::string> contents;
  for (const json& token : tokenizer_json["added_tokens"]) contents.push_back(token["content"]);
  return contents;
}

void expect_corpora(const json& corpora, const Tokenizer& tokenizer, const std::vector<std::string>& tokens) {
  ASSERT_FALSE(corpora.empty());
  for (const json& corpus : corpora) {
    SCOPED_TRACE(corpus["name"]);
    Sha256 text_hash, ids_hash, as_text_hash, decoded_hash, skipped_hash;
    for (const std::string& text :
         corpus_texts(corpus["name"], golden()["seed"], golden()["count"], tokens)) {
      const std::vector<TokenId> ids = tokenizer.encode(text);
      text_hash.update(text + '\0');
      ids_hash.update(line_of(ids));
      as_text_hash.update(line_of(tokenizer.encode(text, SpecialTokens::kText)));
      decoded_hash.update(tokenizer.decode(ids, Tokenizer::DecodeSpecial::kKeep) + '\0');
      skipped_hash.update(tokenizer.decode(ids, Tokenizer::DecodeSpecial::kSkip) + '\0');
    }
    ASSERT_EQ(to_hex(text_hash.finish()), corpus["texts"]) << "the generators differ";
    EXPECT_EQ(to_hex(ids_hash.finish()), corpus["ids"]);
    EXPECT_EQ(to_hex(as_text_hash.finish()), corpus["ids_as_text"]);
    EXPECT_EQ(to_hex(decoded_hash.finish()), corpus["decoded"]);
    EXPECT_EQ(to_hex(skipped_hash.finish()), corpus["decoded_without_special"]);
  }
}

void expect_corpora_of_folder(const json& expected, const std::string& folder) {
  const Tokenizer tokenizer = Tokenizer::load(folder);
  ASSERT_EQ(to_hex(tokenizer.sha256()), expected["sha256"]) << "the golden is of another tokenizer.json";
  expect_corpora(expected["corpora"], tokenizer,
                 added_tokens(json::parse(read_file(folder + "/tokenizer.json"))));
}

TEST(TokenizerGolden, TheSmallTokenizersCasesAreEqual) {
  const Tokenizer tokenizer = Tokenizer::load(kSmall);
  const json& cases = golden()["small"]["cases"];
  ASSERT_GT(cases.size(), 40u);
  for (const json& expected : cases) {
    const std::string text = expected["text"];
    SCOPED_TRACE(text);
    const std::vector<TokenId> ids = tokenizer.encode(text);
    EXPECT_EQ(json(ids), expected["ids"]);
    EXPECT_EQ(json(tokenizer.encode(text, SpecialTokens::kText)), expected["ids_as_text"]);
    EXPECT_EQ(tokenizer.decode(ids, Tokenizer::DecodeSpecial::kKeep), expected["decoded"]);
    EXPECT_EQ(tokenizer.decode(ids), expected["decoded_without_special"]);
  }
}

TEST(TokenizerGolden, TheSmallTokenizersCorporaAreEqual) {
  expect_corpora_of_folder(golden()["small"], kSmall);
}

// Steps in other orders, left out, and ignore_merges.
TEST(TokenizerGolden, VariantsOfTheSmallTokenizerAreEqual) {
  const std::string config = read_file(kSmall + "/tokenizer_config.json");
  for (const json& variant : golden()["variants"]) {
    json changed = json::parse(read_file(kSmall + "/tokenizer.json"));
    SCOPED_TRACE(variant["steps"].dump());
    json& steps = changed["pre_tokenizer"]["pretokenizers"];
    if (!variant["steps"].is_null()) {
      json ordered = json::array();
      for (const json& i : variant["steps"]) ordered.push_back(steps[i.get<size_t>()]);
      ordered.push_back(steps.back());  // ByteLevel
      steps = ordered;
    }
    json& model = changed["model"];
    model["ignore_merges"] = variant["ignore_merges"];
    if (variant["ignore_merges"]) model["merges"].erase(model["merges"].begin() + 100, model["merges"].end());
    const std::string text = changed.dump();
    expect_corpora(variant["corpora"],
                   Tokenizer::parse({.tokenizer_json = text, .tokenizer_config_json = config}),
                   added_tokens(changed));
  }
}

TEST(TokenizerGolden, EveryCodePointHasTheClassesOfTheReference) {
  std::string text;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c < 0xD800 || c > 0xDFFF) append_utf8(text, c);
  }
  std::vector<uint8_t> classes(text.size());
  classify(text, classes.data());
  std::string first_bytes;
  for (size_t at = 0; at < text.size();
       at += static_cast<size_t>(utf8_length(static_cast<uint8_t>(text[at])))) {
    first_bytes.push_back(static_cast<char>(classes[at]));
  }
  EXPECT_EQ(to_hex(sha256(first_bytes)), golden()["code_point_classes"]);
}

TEST(TokenizerGolden, TheBigTokenizersCorporaAreEqual) {
  FATHOM_REQUIRE_SHARED_DATA(kBig);
  expect_corpora_of_folder(golden()["big"], big_folder());
}

TEST(TokenizerGolden, TheBigTokenizersCasesAreEqual) {
  FATHOM_REQUIRE_SHARED_DATA(kBig);
  const Tokenizer tokenizer = Tokenizer::load(big_folder());
  Sha256 hash;
  for (const json& expected : golden()["small"]["cases"]) {
    hash.update(line_of(tokenizer.encode(expected["text"].get<std::string>())));
  }
  EXPECT_EQ(to_hex(hash.finish()), golden()["big"]["case_ids"]);
}

// cases.inp: texts separated by a line of their own; cases.out: a line of ids for each.
TEST(TokenizerGolden, TheCasesOfDeepSeeksVocabularyAreEqual) {
  FATHOM_REQUIRE_SHARED_DATA(kBig);
  const Tokenizer tokenizer = Tokenizer::load(big_folder());
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string texts = read_file(big_folder() + "/cases.inp");
  std::istringstream lines(read_file(big_folder() + "/cases.out"));
  int n_cases = 0;
  for (size_t begin = 0, end = 0; end != std::string::npos; begin = end + separator.size()) {
    end = texts.find(separator, begin);
    const std::string text = texts.substr(begin, end == std::string::npos ? end : end - begin);
    std::string line;
    std::getline(lines, line);  // the last text is empty and has no line
    std::istringstream numbers(line);
    const std::vector<TokenId> expected{std::istream_iterator<TokenId>(numbers), {}};
    EXPECT_EQ(tokenizer.encode(text), expected) << text;
    ++n_cases;
  }
  EXPECT_EQ(n_cases, 47);
}

}  // namespace
}  // namespace fathom::engine
