#include "engine/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "tests/engine/tokenizer_corpora.h"

namespace fathom::engine {
namespace {

// Random merges over the letters a to d: any two tokens may merge, in any order, so that ranks do not grow
// with length as they do in trained vocabularies.
struct RandomBpe {
  std::array<TokenId, 256> byte_tokens;
  std::vector<Merge> merges;

  explicit RandomBpe(uint64_t seed, size_t n_merges) {
    SplitMix draw(seed);
    byte_tokens.fill(-1);
    std::vector<std::string> texts;
    std::map<std::string, TokenId> ids;
    auto id_of = [&](const std::string& text) {
      const auto [found, is_new] = ids.emplace(text, static_cast<TokenId>(texts.size()));
      if (is_new) texts.push_back(text);
      return found->second;
    };
    for (const char letter : {'a', 'b', 'c', 'd'})
      byte_tokens[static_cast<uint8_t>(letter)] = id_of({letter});
    std::set<std::pair<TokenId, TokenId>> seen;
    while (merges.size() < n_merges) {
      const auto left = static_cast<TokenId>(draw.below(texts.size()));
      const auto right = static_cast<TokenId>(draw.below(texts.size()));
      const std::string merged = texts[static_cast<size_t>(left)] + texts[static_cast<size_t>(right)];
      if (merged.size() > 12 || !seen.insert({left, right}).second) continue;
      merges.push_back({left, right, id_of(merged)});
    }
    for (size_t i = merges.size(); i > 1; --i) std::swap(merges[i - 1], merges[draw.below(i)]);
  }
};

// The definition: the lowest rank, then the leftmost pair, until none is left.
std::vector<TokenId> merged_by_definition(const RandomBpe& bpe, std::string_view piece) {
  std::vector<TokenId> tokens;
  for (const char c : piece) tokens.push_back(bpe.byte_tokens[static_cast<uint8_t>(c)]);
  std::map<std::pair<TokenId, TokenId>, size_t> ranks;
  for (size_t rank = 0; rank < bpe.merges.size(); ++rank)
    ranks[{bpe.merges[rank].left, bpe.merges[rank].right}] = rank;
  while (true) {
    size_t best_rank = bpe.merges.size(), best_at = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = ranks.find({tokens[i], tokens[i + 1]});
      if (found != ranks.end() && found->second < best_rank) best_rank = found->second, best_at = i;
    }
    if (best_rank == bpe.merges.size()) return tokens;
    tokens[best_at] = bpe.merges[best_rank].merged;
    tokens.erase(tokens.begin() + static_cast<ptrdiff_t>(best_at) + 1);
  }
}

TEST(Bpe, MergesByRankThenFromTheLeftAtEveryLength) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const RandomBpe random(seed, 120);
    const Bpe bpe(random.byte_tokens, random.merges);
    Bpe::Scratch scratch;
    SplitMix draw(seed + 1000);
    for (size_t length :
         {1, 2, 3, 5, 8, 17, 40, 63, 64, 65, 66, 100, 300}) {  // 64 is the last of the short form
      for (int round = 0; round < 10; ++round) {
        std::string piece;
        for (size_t i = 0; i < length; ++i)
          piece.push_back(static_cast<char>('a' + draw.below(round < 5 ? 4 : 2)));
        std::vector<TokenId> ids = {-7};  // what is there stays
        bpe.encode(piece, scratch, ids);
        std::vector<TokenId> expected = merged_by_definition(random, piece);
        expected.insert(expected.begin(), -7);
        ASSERT_EQ(ids, expected) << piece << " seed " << seed;
      }
    }
  }
}

TEST(Bpe, OfTwoMergesOfOnePairTheLaterCounts) {
  std::array<TokenId, 256> bytes;
  bytes.fill(-1);
  bytes['a'] = 0, bytes['b'] = 1, bytes['c'] = 2;
  // With its first rank, (a, b) would come before (b, c).
  const Bpe bpe(bytes, {{0, 1, 3}, {1, 2, 4}, {0, 1, 3}});
  Bpe::Scratch scratch;
  std::vector<TokenId> ids;
  bpe.encode("abc", scratch, ids);
  EXPECT_EQ(ids, (std::vector<TokenId>{0, 4}));
}

TEST(Bpe, WithoutMergesBytesStay) {
  std::array<TokenId, 256> bytes;
  for (int i = 0; i < 256; ++i) bytes[static_cast<size_t>(i)] = 255 - i;
  Bpe::Scratch scratch;
  std::vector<TokenId> ids;
  Bpe(bytes, {}).encode("\xFF!", scratch, ids);
  EXPECT_EQ(ids, (std::vector<TokenId>{0, 255 - '!'}));
}

}  // namespace
}  // namespace fathom::engine
