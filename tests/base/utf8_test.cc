#include "base/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace fathom {
namespace {

std::string repaired(std::string_view text) {
  std::string out;
  append_valid_utf8(out, text);
  return out;
}

TEST(Utf8, EveryScalarValueEncodesAndDecodes) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    ASSERT_EQ(text.size(), static_cast<size_t>(utf8_length(static_cast<unsigned char>(text[0]))));
    ASSERT_EQ(utf8_code_point(text.data()), c);
    ASSERT_EQ(valid_utf8_prefix(text), text.size()) << std::hex << static_cast<uint32_t>(c);
    for (size_t n = 1; n < text.size(); ++n) {
      ASSERT_EQ(incomplete_utf8_suffix(std::string("x").append(text, 0, n)), n);
      ASSERT_EQ(repaired(text.substr(0, n)), kReplacementCharacter);
    }
    ASSERT_EQ(incomplete_utf8_suffix(text), 0u);
  }
}

// The examples of the Unicode standard, tables 3-8 to 3-11.
TEST(Utf8, EachMaximalSubpartBecomesOneReplacement) {
  const std::string r(kReplacementCharacter);
  EXPECT_EQ(repaired("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repaired("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

TEST(Utf8, ReplacedBytesAreCounted) {
  std::string out = "<";
  EXPECT_EQ(append_valid_utf8(out, "a\xE1\x80z\xFF"), 3);
  EXPECT_EQ(out, "<a\xEF\xBF\xBDz\xEF\xBF\xBD");
  EXPECT_EQ(append_valid_utf8(out, "plain \xC3\xA9"), 0);
}

TEST(Utf8, RepairOfRandomBytesIsValidAndKeepsValidText) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int i = 0; i < 24; ++i)
      bytes.push_back(static_cast<char>(random() % 4 == 0 ? random() % 128 : random() % 256));
    const std::string fixed = repaired(bytes);
    ASSERT_EQ(valid_utf8_prefix(fixed), fixed.size());
    ASSERT_EQ(repaired(fixed), fixed);
    const size_t n = valid_utf8_prefix(bytes);
    ASSERT_EQ(fixed.substr(0, n), bytes.substr(0, n));
  }
}

TEST(Utf8, OnlyACompletableSuffixIsIncomplete) {
  EXPECT_EQ(incomplete_utf8_suffix("\xF0\x9F\xA6"), 3u);
  EXPECT_EQ(incomplete_utf8_suffix("a\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("\x80\x80\x80\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("\xED\xA0"), 0u);  // a surrogate: no byte completes it
  EXPECT_EQ(incomplete_utf8_suffix("\xFF"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix(""), 0u);
}

}  // namespace
}  // namespace fathom
