// What Tokenizer adds to the golden comparisons (tokenizer_golden_test.cc): parts, bytes, BOS, threads.
#include "engine/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "tests/engine/tokenizer_corpora.h"
#include "tests/expect_error.h"
#include "tests/shared_data.h"

namespace fathom::engine {
namespace {

using Ids = std::vector<TokenId>;

const std::string kUser = "<\uFF5CUser\uFF5C>";

const Tokenizer& small() {
  static const Tokenizer tokenizer = Tokenizer::load(FATHOM_SOURCE_DIR "/tests/golden/tokenizer");
  return tokenizer;
}

TEST(Tokenizer, InvalidBytesBecomeReplacementCharactersAndAreCounted) {
  int64_t n_invalid = -1;
  const Ids ids = small().encode("a\xFF\xFE z\xE2\x82", SpecialTokens::kParse, &n_invalid);
  EXPECT_EQ(n_invalid, 4);
  EXPECT_EQ(small().decode(ids), "a\uFFFD\uFFFD z\uFFFD");
  EXPECT_EQ(ids, small().encode("a\uFFFD\uFFFD z\uFFFD", SpecialTokens::kParse, &n_invalid));
  EXPECT_EQ(n_invalid, 0);
}

TEST(Tokenizer, BytesThatAreNoTextDecodeToReplacementCharacters) {
  const Ids crab = small().encode("\U0001F980");
  ASSERT_EQ(crab.size(), 4u) << "a token for each byte";
  EXPECT_EQ(small().decode(crab), "\U0001F980");
  EXPECT_EQ(small().decode(std::span(crab).first(3)), "\uFFFD");
  EXPECT_EQ(small().decode(std::span(crab).subspan(1)), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(small().token_bytes(crab[0]), "\xF0");
}

TEST(Tokenizer, IdsOutsideTheVocabularyDecodeToNothing) {
  EXPECT_EQ(small().vocab_size(), 512);
  for (const TokenId id : {-1, 512, 102399}) {
    EXPECT_EQ(small().token_bytes(id), "");
    EXPECT_FALSE(small().is_special(id));
    const Ids ids = {id, 64, id};
    EXPECT_EQ(small().decode(ids), "a");
  }
}

TEST(Tokenizer, PiecesAndMergesRunAcrossParts) {
  for (const std::string text : {"User: the answer", "a  b\n\nc", "the\u00E9\u4E2D\U0001F980"}) {
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      if (cut < text.size() && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) continue;
      const std::string_view whole = text;
      const TextPart parts[] = {{whole.substr(0, cut), SpecialTokens::kParse},
                                {whole.substr(cut), SpecialTokens::kText}};
      EXPECT_EQ(small().encode(parts), small().encode(text)) << cut;
    }
  }
}

TEST(Tokenizer, SpecialTokensMatchOnlyInsidePartsThatParseThem) {
  const TokenId user = 508;
  const TextPart parts[] = {
      {kUser, SpecialTokens::kParse}, {kUser, SpecialTokens::kText}, {kUser, SpecialTokens::kParse}};
  const Ids ids = small().encode(parts);
  EXPECT_EQ(ids.front(), user);
  EXPECT_EQ(ids.back(), user);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), user), 2);
  EXPECT_EQ(small().decode(ids, Tokenizer::DecodeSpecial::kKeep), kUser + kUser + kUser);

  // Half in one part, half in the next: neither.
  for (size_t cut = 1; cut < kUser.size(); ++cut) {
    if ((static_cast<unsigned char>(kUser[cut]) & 0xC0) == 0x80) continue;
    const std::string_view whole = kUser;
    const TextPart halves[] = {{whole.substr(0, cut), SpecialTokens::kText},
                               {whole.substr(cut), SpecialTokens::kParse}};
    const Ids split = small().encode(halves);
    EXPECT_EQ(std::count(split.begin(), split.end(), user), 0) << cut;
  }
}

TEST(Tokenizer, InvalidBytesAreRepairedPartByPart) {
  int64_t n_invalid = 0;
  const TextPart parts[] = {{"\xC3", SpecialTokens::kText}, {"\xA9", SpecialTokens::kText}};  // together: é
  EXPECT_EQ(small().decode(small().encode(parts, &n_invalid)), "\uFFFD\uFFFD");
  EXPECT_EQ(n_invalid, 2);
}

TEST(Tokenizer, BosIsAddedExactlyOnce) {
  const Ids plain = small().encode("a");
  const Ids with = small().with_bos(plain, BosRule::kOn);
  EXPECT_EQ(with, (Ids{503, plain[0]}));
  EXPECT_EQ(small().with_bos(with, BosRule::kOn), with);
  EXPECT_EQ(small().with_bos(plain, BosRule::kOff), plain);
  EXPECT_EQ(small().with_bos({}, BosRule::kOn), Ids{503});
}

// The working memory and the cached words of one call are never those of another.
TEST(Tokenizer, ManyThreadsGetTheSameIds) {
  const std::vector<std::string> texts = corpus_texts("scripts", 3, 300, {});
  std::vector<Ids> expected;
  for (const std::string& text : texts) expected.push_back(small().encode(text));
  const Tokenizer fresh = Tokenizer::load(FATHOM_SOURCE_DIR "/tests/golden/tokenizer");
  std::vector<std::thread> threads;
  std::vector<int> n_wrong(4, 0);
  for (size_t t = 0; t < n_wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 2 * texts.size(); ++i) {
        const size_t which = (i * (t + 1)) % texts.size();
        if (fresh.encode(texts[which]) != expected[which]) ++n_wrong[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_wrong, std::vector<int>(4, 0));
}

// Pieces of up to 24 bytes are cached by their words and length; neighbours in length and bytes differ.
TEST(Tokenizer, CachedPiecesAreNeverMistakenForOthers) {
  const Tokenizer fresh = Tokenizer::load(FATHOM_SOURCE_DIR "/tests/golden/tokenizer");
  for (int round = 0; round < 2; ++round) {
    for (size_t length = 1; length <= 40; ++length) {
      for (size_t at = 0; at < length; ++at) {
        std::string piece(length, 'e');
        piece[at] = 'r';
        EXPECT_EQ(fresh.decode(fresh.encode(piece)), piece);
        EXPECT_EQ(fresh.encode(piece + "\n" + piece).size(), 2 * fresh.encode(piece).size() + 1);
      }
    }
  }
}

// A megabyte of one letter is one piece; the test would take hours in quadratic time.
TEST(Tokenizer, AVeryLongPieceIsEncoded) {
  const std::string line(1 << 20, 'e');
  const Ids ids = small().encode(line);
  EXPECT_EQ(small().decode(ids), line);
}

}  // namespace
}  // namespace fathom::engine
