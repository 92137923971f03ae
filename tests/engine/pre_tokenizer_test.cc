#include "engine/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/expect_error.h"

namespace fathom::engine {
namespace {

using nlohmann::json;
using Pieces = std::vector<std::string>;

json deepseek_spec() {
  return json::parse(read_file(FATHOM_SOURCE_DIR "/tests/golden/tokenizer/tokenizer.json"))["pre_tokenizer"];
}

Pieces pieces(std::string_view text) {
  static const PreTokenizer pre_tokenizer = PreTokenizer::parse(deepseek_spec(), "pre_tokenizer");
  std::vector<uint8_t> classes;
  std::vector<size_t> ends;
  pre_tokenizer.split(text, classes, ends);
  Pieces made;
  size_t begin = 0;
  for (const size_t end : ends) {
    made.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(begin, text.size());
  return made;
}

TEST(PreTokenizer, LettersTakeOneSpaceWithThem) {
  EXPECT_EQ(pieces("Hello world"), (Pieces{"Hello", " world"}));
  EXPECT_EQ(pieces("  a"), (Pieces{" ", " a"}));
  EXPECT_EQ(pieces("a   b"), (Pieces{"a", "  ", " b"}));
  EXPECT_EQ(pieces("\u00A0word"), (Pieces{"\u00A0word"}));
}

TEST(PreTokenizer, EveryLineBreakStandsAlone) {
  EXPECT_EQ(pieces("a  \n  b"), (Pieces{"a", "  ", "\n", " ", " b"}));
  EXPECT_EQ(pieces("   \n"), (Pieces{"   ", "\n"}));
  EXPECT_EQ(pieces("\r\n\n"), (Pieces{"\r", "\n", "\n"}));
}

// The punctuation step's range :-~ holds the ASCII letters.
TEST(PreTokenizer, AccentsCutWords) {
  EXPECT_EQ(pieces("caf\u00E9"), (Pieces{"caf", "\u00E9"}));
  EXPECT_EQ(pieces(" \u00E9t\u00E9"), (Pieces{" \u00E9", "t", "\u00E9"}));
}

TEST(PreTokenizer, PunctuationRunsStayWhole) {
  EXPECT_EQ(pieces("!!!!!!"), (Pieces{"!!!!!!"}));
  EXPECT_EQ(pieces("C++"), (Pieces{"C", "++"}));
  EXPECT_EQ(pieces("foo_bar"), (Pieces{"foo", "_", "bar"}));
  EXPECT_EQ(pieces("it's"), (Pieces{"it", "'", "s"}));
}

TEST(PreTokenizer, DigitsStandAlone) {
  EXPECT_EQ(pieces("1,234.5"), (Pieces{"1", ",", "2", "3", "4", ".", "5"}));
  EXPECT_EQ(pieces("x\u00B2\u00BD\u2167"), (Pieces{"x", "\u00B2", "\u00BD", "\u2167"}));
  EXPECT_EQ(pieces("\u4E00\u3007"),
            (Pieces{"\u4E00", "\u3007"}));  // a CJK numeral is a letter, the zero a number
}

// A space that joins a full stop is cut off again by the CJK step.
TEST(PreTokenizer, LaterStepsCutThePiecesOfEarlierOnes) {
  EXPECT_EQ(pieces(" \u3002"), (Pieces{" ", "\u3002"}));
  EXPECT_EQ(pieces(" \u201C"), (Pieces{" ", "\u201C"}));
  EXPECT_EQ(pieces("!\u3000"), (Pieces{"!", "\u3000"}));
}

TEST(PreTokenizer, TrailingSpaceOfAPieceIsCutOff) {
  EXPECT_EQ(pieces("\u0600 \t"), (Pieces{"\u0600", " \t"}));
  EXPECT_EQ(pieces("\u0600 \t\n\u0600 "), (Pieces{"\u0600", " \t", "\n", "\u0600", " "}));
}

TEST(PreTokenizer, EmojiSequencesAndNothingStayWhole) {
  EXPECT_EQ(pieces("\U0001F44D\U0001F3FD"), (Pieces{"\U0001F44D\U0001F3FD"}));
  EXPECT_EQ(pieces(""), Pieces{});
}

class PreTokenizerRefusal : public ::testing::Test {
 protected:
  json& step(size_t i) { return spec_["pretokenizers"][i]; }
  void expect_refused(std::initializer_list<std::string_view> words) {
    fathom::testing::expect_bad_input([this] { PreTokenizer::parse(spec_, "pre_tokenizer"); }, words);
  }
  json spec_ = deepseek_spec();
};

TEST_F(PreTokenizerRefusal, UnknownPattern) {
  step(1)["pattern"]["Regex"] = "\\p{L}+";
  expect_refused({"pre_tokenizer.pretokenizers[1]", "unknown Split pattern", "p{L}+", "accepted"});
}

TEST_F(PreTokenizerRefusal, PatternThatIsNoRegex) {
  step(1)["pattern"] = {{"String", " "}};
  expect_refused({"pretokenizers[1].pattern", "Regex"});
}

TEST_F(PreTokenizerRefusal, OtherBehaviour) {
  step(2)["behavior"] = "Removed";
  expect_refused({"pretokenizers[2]", "behavior", "Removed", "Isolated"});
}

TEST_F(PreTokenizerRefusal, InvertedSplit) {
  step(2)["invert"] = true;
  expect_refused({"pretokenizers[2]", "invert"});
}

TEST_F(PreTokenizerRefusal, DigitsTogether) {
  step(5)["individual_digits"] = false;
  expect_refused({"pretokenizers[5]", "individual_digits"});
}

TEST_F(PreTokenizerRefusal, PrefixSpace) {
  step(6)["add_prefix_space"] = true;
  expect_refused({"pretokenizers[6]", "add_prefix_space"});
}

TEST_F(PreTokenizerRefusal, TheRegexOfByteLevel) {
  step(6)["use_regex"] = true;
  expect_refused({"pretokenizers[6]", "use_regex"});
}

TEST_F(PreTokenizerRefusal, UnknownStep) {
  step(0) = {{"type", "Metaspace"}};
  expect_refused({"pretokenizers[0]", "Metaspace", "accepted are Split, Digits and ByteLevel"});
}

TEST_F(PreTokenizerRefusal, UnknownKey) {
  step(5)["colour"] = 1;
  expect_refused({"pretokenizers[5]", "colour"});
}

TEST_F(PreTokenizerRefusal, StepBehindByteLevel) {
  std::swap(step(5), step(6));
  expect_refused({"pretokenizers[6]", "ByteLevel must be the last step"});
}

TEST_F(PreTokenizerRefusal, NoByteLevel) {
  spec_["pretokenizers"].erase(6);
  expect_refused({"ByteLevel"});
}

TEST_F(PreTokenizerRefusal, StepsThatAreNoArray) {
  spec_["pretokenizers"] = "none";
  expect_refused({"pretokenizers", "array"});
}

}  // namespace
}  // namespace fathom::engine
