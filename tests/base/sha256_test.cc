#include "base/sha256.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace fathom {
namespace {

// FIPS 180-2 appendix B.
TEST(Sha256, MatchesThePublishedVectors) {
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, PiecesHashLikeTheWhole) {
  Sha256 hash;
  hash.update("a");
  hash.update("bc");
  EXPECT_EQ(hash.finish(), sha256("abc"));
}

TEST(Sha256, HexadecimalRoundTripsAndRefusesOtherTexts) {
  const Sha256Digest digest = sha256("abc");
  EXPECT_EQ(digest_from_hex(to_hex(digest)), digest);
  EXPECT_FALSE(digest_from_hex("abc").has_value());
  EXPECT_FALSE(digest_from_hex(std::string(63, '0') + "g").has_value());
  EXPECT_FALSE(digest_from_hex(std::string(62, '0') + "-1").has_value());
}

TEST(Sha256, AFileHashesLikeItsBytes) {
  const std::string path = testing::TempDir() + "/sha256_test.txt";
  write_file_atomically(path, "abc");
  EXPECT_EQ(sha256_file(path), sha256("abc"));
}

}  // namespace
}  // namespace fathom
