#include "engine/latent_cache.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"

namespace fathom::engine {
namespace {

ModelConfig config() {
  return parse_config(golden::config('A').dump(), "config.json");
}

std::vector<int32_t> blocks_of(const CachedSequence& sequence) {
  return {sequence.blocks().begin(), sequence.blocks().end()};
}

TEST(LatentCache, HasOnePoolALayer) {
  const LatentCache cache(kernels::Space::kCpu, config(), 5);
  EXPECT_TRUE(cache.layer(2).has_shape({5, kernels::kBlockTokens, 40}));
  EXPECT_NE(cache.layer(0).data, cache.layer(1).data);
  EXPECT_EQ(LatentCache::token_bytes(config(), kernels::LatentFormat::kF32), 3 * 40 * 4);
}

TEST(LatentCache, SequencesTakeTheLowestFreeBlocksAndGiveThemBack) {
  LatentCache cache(kernels::Space::kCpu, config(), 6);
  {
    CachedSequence first(cache);
    first.reserve(64);
    EXPECT_EQ(blocks_of(first), (std::vector<int32_t>{0}));
    CachedSequence second(cache);
    second.reserve(65);
    first.reserve(129);
    EXPECT_EQ(blocks_of(second), (std::vector<int32_t>{1, 2}));
    EXPECT_EQ(blocks_of(first), (std::vector<int32_t>{0, 3, 4}));
    first.reserve(10);  // room enough: nothing changes
    EXPECT_EQ(cache.n_free(), 1);
  }
  EXPECT_EQ(cache.n_free(), 6);
  CachedSequence again(cache);
  again.reserve(200);
  EXPECT_EQ(blocks_of(again), (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST(LatentCacheDeathTest, TakingMoreThanThereIsIsABug) {
  LatentCache cache(kernels::Space::kCpu, config(), 1);
  CachedSequence sequence(cache);
  EXPECT_DEATH(sequence.reserve(65), "all 1 blocks are in use");
}

}  // namespace
}  // namespace fathom::engine
