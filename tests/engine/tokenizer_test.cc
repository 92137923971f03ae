#include "engine/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

const fs::path kSmall = fs::path(FATHOM_SOURCE_DIR) / "tests/golden/tokenizer";
const fs::path kReference = fs::path(FATHOM_SOURCE_DIR) / "../shared/data/tokenizer/deepseek-v2";

const Tokenizer& small() {
  static const Tokenizer kTokenizer = Tokenizer::load(kSmall);
  return kTokenizer;
}

// The 47 texts and ids that come with the reference's vocabulary.
std::vector<std::pair<std::string, Ids>> reference_cases() {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string texts = read_file(kReference / "cases.inp");
  std::istringstream lines(read_file(kReference / "cases.out"));
  std::vector<std::pair<std::string, Ids>> cases;
  size_t begin = 0;
  for (std::string line; std::getline(lines, line);) {
    const size_t end = texts.find(separator, begin);
    Ids ids;
    std::istringstream numbers(line);
    for (TokenId id; numbers >> id;) ids.push_back(id);
    cases.emplace_back(texts.substr(begin, end == std::string::npos ? end : end - begin), ids);
    if (end == std::string::npos) break;
    begin = end + separator.size();
  }
  return cases;
}

class ReferenceTokenizer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kReference / "tokenizer.json"))
      GTEST_SKIP() << "skipped: no reference tokenizer at " << kReference;
  }
  const Tokenizer& tokenizer() {
    static const Tokenizer kTokenizer = Tokenizer::load(kReference);
    return kTokenizer;
  }
};

TEST_F(ReferenceTokenizer, GivesTheReferenceIdsOfEveryCase) {
  const auto cases = reference_cases();
  EXPECT_GE(cases.size(), 45u);
  for (const auto& [text, ids] : cases) EXPECT_EQ(tokenizer().encode(text), ids) << text;
}

// deepseek_v2 pre-tokenizer: each step re-splits the pieces of the one before.
TEST_F(ReferenceTokenizer, SplitsAsTheSequenceOfStepsDoes) {
  const auto pieces = [&](std::string_view text) {
    std::vector<std::string> all;
    for (TokenId id : tokenizer().encode(text)) all.emplace_back(tokenizer().token_bytes(id));
    return all;
  };
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(pieces("  a"), (Pieces{" ", " a"}));
  EXPECT_EQ(pieces("1,234.5"), (Pieces{"1", ",", "2", "3", "4", ".", "5"}));
  EXPECT_EQ(pieces("it's"), (Pieces{"it", "'", "s"}));
  EXPECT_EQ(pieces("foo_bar"), (Pieces{"foo", "_", "bar"}));
  EXPECT_EQ(pieces("a  \n  b"), (Pieces{"a", "  ", "\n", " ", " b"}));
}

TEST_F(ReferenceTokenizer, KnowsTheHandyIds) {
  EXPECT_EQ(tokenizer().encode("\t"), Ids{184});
  EXPECT_EQ(tokenizer().encode("\n"), Ids{185});
  EXPECT_EQ(tokenizer().encode(" "), Ids{207});
  EXPECT_EQ(tokenizer().encode("Hello"), Ids{17464});
  EXPECT_EQ(tokenizer().encode(" Hello"), Ids{37727});
  EXPECT_EQ(tokenizer().encode("F\xc3\xbchrer"), (Ids{37, 100014, 71, 6245}))
      << "an added token that is not special";
}

TEST_F(ReferenceTokenizer, DecodingGivesBackTheText) {
  for (const auto& [text, ids] : reference_cases()) {
    if (text.find("\xc3\xbc") != std::string::npos)
      continue;  // the file's own added byte tokens do not round-trip
    EXPECT_EQ(tokenizer().decode(ids), text);
  }
}

// tests/golden/tokenizer/cases.json was written by Hugging Face tokenizers
// (tools/tokenizer/make_golden_tokenizer.py).
TEST(Tokenizer, AgreesWithHuggingFaceTokenizersOnTheGoldenCases) {
  const auto cases = nlohmann::json::parse(read_file(kSmall / "cases.json"));
  ASSERT_GT(cases.size(), 200u);
  for (const auto& one : cases) {
    const auto text = one.at("text").get<std::string>();
    EXPECT_EQ(small().encode(text), one.at("ids").get<Ids>()) << text;
    EXPECT_EQ(small().decode(one.at("ids").get<Ids>(), Tokenizer::DecodeSpecial::kKeep),
              one.at("decoded").get<std::string>());
  }
}

TEST(Tokenizer, InvalidBytesBecomeReplacementCharactersAndAreCounted) {
  int64_t n_invalid = 0;
  const Ids ids = small().encode("a\xff\xfe z", SpecialTokens::kParse, &n_invalid);
  EXPECT_EQ(n_invalid, 2);
  EXPECT_EQ(small().decode(ids), "a\xef\xbf\xbd\xef\xbf\xbd z");
}

TEST(Tokenizer, SpecialTokensInTextAreParsedOrKeptAsText) {
  const std::string eos(small().token_bytes(*small().eos_id()));
  EXPECT_EQ(small().encode(eos), Ids{*small().eos_id()});
  const Ids as_text = small().encode(eos, SpecialTokens::kText);
  EXPECT_GT(as_text.size(), 1u);
  EXPECT_EQ(small().decode(as_text), eos);
}

TEST(Tokenizer, AddedTokensThatAreNotSpecialAlwaysMatch) {
  const Ids parsed = small().encode("a\xc3\xb8z");
  EXPECT_EQ(small().encode("a\xc3\xb8z", SpecialTokens::kText), parsed);
  EXPECT_NE(std::find(parsed.begin(), parsed.end(), 180), parsed.end());
}

TEST(Tokenizer, DecodingLeavesSpecialTokensOutWhenAsked) {
  const Ids ids = {*small().bos_id(), small().encode("a").front(), *small().eos_id()};
  EXPECT_EQ(small().decode(ids), "a");
  EXPECT_GT(small().decode(ids, Tokenizer::DecodeSpecial::kKeep).size(), 1u);
}

TEST(Tokenizer, BosIsAddedExactlyOnce) {
  const Ids plain = small().encode("a");
  const Ids with = small().with_bos(plain, BosRule::kOn);
  EXPECT_EQ(with.front(), small().bos_id());
  EXPECT_EQ(small().with_bos(with, BosRule::kOn), with);
  EXPECT_EQ(small().with_bos(plain, BosRule::kOff), plain);
  EXPECT_EQ(small().with_bos(plain, BosRule::kCheckpoint), with) << "the checkpoint says add_bos_token true";
}

class EditedTokenizer : public ::testing::Test {
 protected:
  void SetUp() override {
    json_ = nlohmann::json::parse(read_file(kSmall / "tokenizer.json"));
    config_ = nlohmann::json::parse(read_file(kSmall / "tokenizer_config.json"));
  }
  Tokenizer load() {
    write_file_atomically(folder_ / "tokenizer.json", json_.dump());
    write_file_atomically(folder_ / "tokenizer_config.json", config_.dump());
    return Tokenizer::load(folder_.path());
  }
  void expect_refused(std::initializer_list<std::string_view> words) {
    fathom::testing::expect_error(ErrorKind::kBadInput, [this] { load(); }, words);
  }
  nlohmann::json json_, config_;

 private:
  fathom::testing::TemporaryFolder folder_;
};

TEST_F(EditedTokenizer, BothMergeNotationsGiveTheSameIds) {
  auto& merges = json_["model"]["merges"];
  for (auto& merge : merges) {
    if (merge.is_string()) {
      const auto text = merge.get<std::string>();
      const size_t space = text.find(' ');
      merge = nlohmann::json::array({text.substr(0, space), text.substr(space + 1)});
    } else {
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    }
  }
  const std::string text = "The quick brown fox, 12 times.\n";
  EXPECT_EQ(load().encode(text), small().encode(text));
}

TEST_F(EditedTokenizer, AddBosTokenFalseIsFollowed) {
  config_["add_bos_token"] = false;
  EXPECT_FALSE(load().adds_bos(BosRule::kCheckpoint));
  EXPECT_TRUE(load().adds_bos(BosRule::kOn));
}

TEST_F(EditedTokenizer, AnotherModelTypeIsRefused) {
  json_["model"]["type"] = "Unigram";
  expect_refused({"tokenizer.json", "Unigram", "BPE"});
}

TEST_F(EditedTokenizer, AnUnknownPreTokenizerStepIsRefused) {
  json_["pre_tokenizer"]["pretokenizers"][0]["type"] = "Whitespace";
  expect_refused({"tokenizer.json", "Whitespace"});
}

TEST_F(EditedTokenizer, AnUnknownPatternIsRefused) {
  json_["pre_tokenizer"]["pretokenizers"][1]["pattern"]["Regex"] = "[a-z]+";
  expect_refused({"tokenizer.json", "[a-z]+"});
}

TEST_F(EditedTokenizer, ANormalizerIsRefused) {
  json_["normalizer"] = {{"type", "NFKC"}};
  expect_refused({"tokenizer.json", "normalizer"});
}

TEST_F(EditedTokenizer, ByteFallbackIsRefused) {
  json_["model"]["byte_fallback"] = true;
  expect_refused({"tokenizer.json", "byte_fallback"});
}

TEST_F(EditedTokenizer, AMergeOfAnUnknownTokenIsRefused) {
  json_["model"]["merges"].push_back("qqqq zzzz");
  expect_refused({"tokenizer.json", "merge"});
}

}  // namespace
}  // namespace fathom::engine
