#include "engine/prefix_tree.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "tests/engine/golden_weights.h"

namespace fathom::engine {
namespace {

/// from, from + 1, ... : n ids.
std::vector<TokenId> run_of(TokenId from, size_t n) {
  std::vector<TokenId> ids(n);
  std::iota(ids.begin(), ids.end(), from);
  return ids;
}

std::vector<TokenId> joined(std::vector<TokenId> a, const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class PrefixTreeTest : public ::testing::Test {
 protected:
  /// Stores a prompt in new blocks and gives the sequence's own references back.
  void store(const std::vector<TokenId>& ids) {
    CachedSequence sequence(cache_);
    sequence.reserve(std::ssize(ids));
    tree_.insert(ids, sequence);
  }

  LatentCache cache_{kernels::Space::kCpu, parse_config(golden::config('A').dump(), "config.json"), 8};
  PrefixTree tree_{cache_};
};

TEST_F(PrefixTreeTest, FindsTheLongestCommonBeginning) {
  EXPECT_EQ(tree_.find(run_of(0, 10)).n_tokens(), 0);
  store(run_of(0, 150));
  EXPECT_EQ(tree_.find(run_of(0, 150)).n_tokens(), 150);
  EXPECT_EQ(tree_.find(run_of(0, 500)).n_tokens(), 150);
  EXPECT_EQ(tree_.find(run_of(0, 128)).n_tokens(), 128);
  EXPECT_EQ(tree_.find(run_of(0, 128)).n_last_tokens, 0);
  EXPECT_EQ(tree_.find(run_of(0, 100)).n_last_tokens, 36);
  EXPECT_EQ(tree_.find(joined(run_of(0, 70), {9})).n_tokens(), 70);
  EXPECT_EQ(tree_.find(joined(run_of(0, 3), {9})).n_tokens(), 3);
  EXPECT_EQ(tree_.find({}).n_tokens(), 0);
  EXPECT_EQ(tree_.find(run_of(1, 10)).n_tokens(), 0);
}

TEST_F(PrefixTreeTest, TheClosestOfManyBranchesIsTaken) {
  store(joined(run_of(0, 20), run_of(500, 10)));
  store(joined(run_of(0, 40), run_of(100, 10)));
  store(joined(run_of(0, 30), run_of(900, 10)));
  EXPECT_EQ(tree_.find(joined(run_of(0, 40), {99})).n_tokens(), 40);
  EXPECT_EQ(tree_.find(joined(run_of(0, 40), {105})).n_tokens(), 40);
  EXPECT_EQ(tree_.find(joined(run_of(0, 31), {7})).n_tokens(), 31);
  EXPECT_EQ(tree_.find(joined(run_of(0, 20), run_of(500, 5))).n_tokens(), 25);
  EXPECT_EQ(tree_.n_blocks(), 3);
}

TEST_F(PrefixTreeTest, EqualFullBlocksAreStoredOnce) {
  CachedSequence first(cache_), second(cache_);
  first.reserve(100);
  second.reserve(100);
  tree_.insert(run_of(0, 100), first);
  tree_.insert(joined(run_of(0, 64), run_of(700, 36)), second);
  EXPECT_EQ(second.blocks()[0], first.blocks()[0]);
  EXPECT_NE(second.blocks()[1], first.blocks()[1]);
  EXPECT_EQ(cache_.n_references(first.blocks()[0]), 3);
  EXPECT_EQ(cache_.n_free(), 5);
}

TEST_F(PrefixTreeTest, ForgetsTheLeastRecentlyUsedLeavesAndNothingInUse) {
  store(run_of(0, 128));
  store(run_of(1000, 128));
  store(run_of(2000, 128));
  tree_.find(run_of(0, 128));
  EXPECT_EQ(cache_.n_free(), 2);
  EXPECT_EQ(tree_.n_forgettable(), 6);
  tree_.free_up(3);
  EXPECT_EQ(cache_.n_free(), 3);
  EXPECT_EQ(tree_.find(run_of(1000, 128)).n_tokens(), 64);  // its second block was the oldest leaf
  CachedSequence user(cache_);
  user.share(tree_.find(run_of(2000, 128)).full_blocks);
  EXPECT_EQ(tree_.n_forgettable(), 3);
  tree_.free_up(100);
  EXPECT_EQ(cache_.n_free(), 6);
  EXPECT_EQ(tree_.find(run_of(2000, 128)).n_tokens(), 128);
  EXPECT_EQ(tree_.find(run_of(0, 128)).n_tokens(), 0);
}

TEST_F(PrefixTreeTest, GivesEverythingBackAtItsEnd) {
  {
    PrefixTree other(cache_);
    CachedSequence sequence(cache_);
    sequence.reserve(200);
    other.insert(run_of(0, 200), sequence);
  }
  EXPECT_EQ(cache_.n_free(), 8);
}

}  // namespace
}  // namespace fathom::engine
