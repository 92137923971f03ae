#include "engine/scripted_engine.h"

#include <gtest/gtest.h>

namespace fathom::engine {
namespace {

ScriptedEngine::Result sum_of_context(const Request& request) {
  ScoreResult result;
  double sum = 0.0;
  for (TokenId id : std::get<ScoreRequest>(request.body).context) sum += id;
  result.continuations.push_back({.sum_logprob = sum});
  return result;
}

std::vector<uint64_t> ids_in_order(ScriptedEngine::Order order) {
  ScriptedEngine engine(sum_of_context, order);
  for (uint64_t id : {7, 8, 9}) engine.submit({id, ScoreRequest{{1}, {}}});
  std::vector<uint64_t> ids;
  while (const std::optional<Completion> completion = engine.next()) ids.push_back(completion->id);
  return ids;
}

TEST(ScriptedEngine, AnswersFromTheScriptInEitherOrder) {
  ScriptedEngine engine(sum_of_context);
  engine.submit({1, ScoreRequest{{2, 3}, {}}});
  EXPECT_EQ(std::get<ScoreResult>(engine.next()->result).continuations[0].sum_logprob, 5.0);
  EXPECT_EQ(engine.n_answered(), 1);
  EXPECT_FALSE(engine.next().has_value());
  EXPECT_EQ(ids_in_order(ScriptedEngine::Order::kFirstInFirstOut), (std::vector<uint64_t>{7, 8, 9}));
  EXPECT_EQ(ids_in_order(ScriptedEngine::Order::kLastInFirstOut), (std::vector<uint64_t>{9, 8, 7}));
}

}  // namespace
}  // namespace fathom::engine
