#include "engine/added_tokens.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace fathom::engine {
namespace {

// "begin-end:id" for a token, "begin-end" for text.
std::vector<std::string> found(const std::vector<AddedToken>& tokens, std::string_view text,
                               const std::vector<SpecialRegion>& regions) {
  std::vector<TextSegment> segments;
  AddedTokens(tokens).split(text, regions, segments);
  std::vector<std::string> shown;
  for (const TextSegment& segment : segments) {
    const std::string id = segment.id < 0 ? "" : fmt::format(":{}", segment.id);
    shown.push_back(fmt::format("{}-{}{}", segment.begin, segment.end, id));
  }
  return shown;
}

std::vector<std::string> found(const std::vector<AddedToken>& tokens, std::string_view text) {
  return found(tokens, text, {{text.size(), true}});
}

using Segments = std::vector<std::string>;

TEST(AddedTokens, TheLongestAtTheLeftmostPlaceCounts) {
  const std::vector<AddedToken> tokens = {
      {1, "ab", false, true}, {2, "abcd", false, true}, {3, "bcde", false, true}};
  EXPECT_EQ(found(tokens, "abcde"), (Segments{"0-4:2", "4-5"}));
  EXPECT_EQ(found(tokens, "abcxbcde"), (Segments{"0-2:1", "2-4", "4-8:3"}));
  EXPECT_EQ(found(tokens, "a"), (Segments{"0-1"}));
  EXPECT_EQ(found(tokens, ""), Segments{});
}

TEST(AddedTokens, ThoseNotNormalizedAreFoundFirst) {
  const std::vector<AddedToken> tokens = {{1, "xab", false, true}, {2, "abc", false, false}};
  EXPECT_EQ(found(tokens, "xabc"), (Segments{"0-1", "1-4:2"}));
  EXPECT_EQ(found(tokens, "xabxabc"), (Segments{"0-3:1", "3-4", "4-7:2"}));
}

TEST(AddedTokens, TokensWithBytesAbove127AreFound) {
  const std::vector<AddedToken> tokens = {{1, "\u00FC", false, true}, {2, "<\uFF5CUser\uFF5C>", true, false}};
  EXPECT_EQ(found(tokens, "F\u00FChrer<\uFF5CUser\uFF5C>"), (Segments{"0-1", "1-3:1", "3-7", "7-19:2"}));
}

TEST(AddedTokens, SpecialTokensInTextAreNone) {
  const std::vector<AddedToken> tokens = {{1, "<s>", true, false}, {2, "<n>", false, false}};
  EXPECT_EQ(found(tokens, "<s><n><s>", {{9, false}}), (Segments{"0-3", "3-6:2", "6-9"}));
}

TEST(AddedTokens, ASpecialTokenMustLieInsideOneParsedRegion) {
  const std::vector<AddedToken> tokens = {{1, "<s>", true, false}};
  EXPECT_EQ(found(tokens, "<s><s>", {{3, true}, {6, false}}), (Segments{"0-3:1", "3-6"}));
  EXPECT_EQ(found(tokens, "<s><s>", {{1, false}, {6, true}}), (Segments{"0-3", "3-6:1"}));
  EXPECT_EQ(found(tokens, "<s><s>", {{4, true}, {4, false}, {6, true}}), (Segments{"0-3:1", "3-6"}));
}

// The end of an untrusted content must not swallow the template's token behind it.
TEST(AddedTokens, TextCannotHideTheNextRegionsToken) {
  const std::vector<AddedToken> tokens = {{1, "<<s>", true, false}, {2, "<s>", true, false}};
  EXPECT_EQ(found(tokens, "<<s>", {{1, false}, {4, true}}), (Segments{"0-1", "1-4:2"}));
}

}  // namespace
}  // namespace fathom::engine
