#include "engine/request_queue.h"

#include <gtest/gtest.h>

namespace fathom::engine {
namespace {

using Verdict = RequestQueue::Verdict;

void push(RequestQueue& queue, uint64_t id, std::vector<TokenId> prompt, int64_t max_tokens = 1) {
  queue.push({{id, GenerateRequest{.prompt = std::move(prompt), .max_tokens = max_tokens}}, {}});
}

/// 64 times `first`, then `rest`.
std::vector<TokenId> block_and(TokenId first, std::vector<TokenId> rest) {
  std::vector<TokenId> ids(64, first);
  ids.insert(ids.end(), rest.begin(), rest.end());
  return ids;
}

template <typename Judge>
std::vector<uint64_t> taken(RequestQueue& queue, const Judge& judge) {
  std::vector<uint64_t> ids;
  queue.serve(judge, [&](WaitingRequest waiting) { ids.push_back(waiting.request.id); });
  return ids;
}

TEST(RequestQueue, ServesGroupsWholeAndTheLongestFirst) {
  RequestQueue queue;
  push(queue, 1, block_and(1, {5}));
  push(queue, 2, block_and(2, {1, 2}), 500);
  push(queue, 3, block_and(1, {3}), 90);
  push(queue, 4, block_and(1, {5, 1}));
  push(queue, 5, block_and(2, {}));
  push(queue, 6, {7, 8});
  EXPECT_EQ(queue.size(), 6u);
  EXPECT_EQ(taken(queue, [](const auto&) { return Verdict::kTake; }),
            (std::vector<uint64_t>{5, 2, 3, 1, 4, 6}));
  EXPECT_TRUE(queue.empty());
}

TEST(RequestQueue, AGroupBegunIsServedToItsEnd) {
  RequestQueue queue;
  push(queue, 1, block_and(1, {1}), 10);
  push(queue, 2, block_and(1, {2}));
  int n = 0;
  EXPECT_EQ(taken(queue, [&](const auto&) { return n++ == 0 ? Verdict::kTake : Verdict::kStop; }),
            (std::vector<uint64_t>{1}));
  push(queue, 3, block_and(2, {1}), 10000);
  EXPECT_EQ(taken(queue, [](const auto&) { return Verdict::kTake; }), (std::vector<uint64_t>{2, 3}));
}

TEST(RequestQueue, SkippedRequestsStay) {
  RequestQueue queue;
  for (TokenId i = 0; i < 5; ++i) push(queue, static_cast<uint64_t>(i), block_and(1, {i}));
  EXPECT_EQ(
      taken(queue,
            [](const WaitingRequest& w) { return w.request.id % 2 == 0 ? Verdict::kSkip : Verdict::kTake; }),
      (std::vector<uint64_t>{1, 3}));
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(taken(queue, [](const auto&) { return Verdict::kTake; }), (std::vector<uint64_t>{0, 2, 4}));
}

TEST(RequestQueue, LongestSequences) {
  EXPECT_EQ(longest_sequence({1, GenerateRequest{.prompt = {1, 2}, .max_tokens = 7}}), 9);
  EXPECT_EQ(longest_sequence({1, ScoreRequest{{1, 2, 3}, {{1}, {1, 2}, {4}}}}), 5);
}

}  // namespace
}  // namespace fathom::engine
