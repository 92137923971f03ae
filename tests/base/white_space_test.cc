#include "base/white_space.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(WhiteSpace, StripsWhatPythonStrips) {
  EXPECT_EQ(strip_white_space(" \t\r\n\v\f\x1c\x1f a b \u3000\u00a0\u2009"), "a b");
  EXPECT_EQ(strip_white_space("\u0085x\u2028"), "x");
  EXPECT_EQ(strip_white_space(" \n "), "");
  EXPECT_EQ(strip_white_space(""), "");
}

TEST(WhiteSpace, LeavesOtherInvisibleCharacters) {
  EXPECT_EQ(strip_white_space("\u200b a"), "\u200b a");  // zero width space
  EXPECT_EQ(strip_white_space("\ufeff"), "\ufeff");      // byte order mark
  EXPECT_EQ(strip_white_space("a\x1b"), "a\x1b");        // escape
}

TEST(WhiteSpace, BytesThatAreNoCharacterStay) {
  EXPECT_EQ(strip_white_space("\xa0 "), "\xa0");  // the last byte of U+00A0 alone
  EXPECT_EQ(strip_white_space("\x85"), "\x85");
}

TEST(WhiteSpace, CountsBytesAtEitherEnd) {
  EXPECT_EQ(leading_white_space_bytes("\u3000 a"), 4u);
  EXPECT_EQ(trailing_white_space_bytes("a \u3000"), 4u);
  EXPECT_EQ(trailing_white_space_bytes("a"), 0u);
}

}  // namespace
}  // namespace fathom
