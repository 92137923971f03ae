#include "engine/embedded_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/engine/golden_weights.h"
#include "tests/engine/model_folder.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

template <typename Body>
Completion answer(Engine& engine, Body body) {
  engine.submit({42, std::move(body)});
  std::optional<Completion> completion = engine.next();
  EXPECT_TRUE(completion.has_value());
  EXPECT_EQ(completion->id, 42u);
  return std::move(*completion);
}

std::vector<ContinuationScore> scores(Engine& engine, ScoreRequest request) {
  return std::get<ScoreResult>(answer(engine, std::move(request)).result).continuations;
}

GenerateResult generated(Engine& engine, GenerateRequest request) {
  return std::get<GenerateResult>(answer(engine, std::move(request)).result);
}

template <typename Body>
std::string failure(Engine& engine, Body body) {
  const Completion completion = answer(engine, std::move(body));
  const auto* failed = std::get_if<RequestFailure>(&completion.result);
  return failed == nullptr ? "answered" : failed->message;
}

GenerateRequest greedy(int64_t max_tokens) {
  return {.prompt = golden::input_ids(20), .max_tokens = max_tokens};
}

TEST(EmbeddedEngine, AContinuationScoresAsInTheWholeSequence) {
  ModelFolder folder;
  const auto engine = folder.engine();
  const std::vector<TokenId> ids = golden::input_ids(150);
  for (size_t n_context : {1, 63, 64, 65, 120}) {
    const std::vector<TokenId> context(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(n_context));
    const std::vector<TokenId> rest(ids.begin() + static_cast<ptrdiff_t>(n_context), ids.end());
    // Others before and after it must not leave a trace.
    const auto result = scores(*engine, {context, {{5, 6, 7}, rest, {rest[0]}, {9}, rest}});
    const SequenceLogprobs whole = engine->logprobs(ids, false);
    const std::vector<float> expected(whole.logprobs.begin() + static_cast<ptrdiff_t>(n_context) - 1,
                                      whole.logprobs.end());
    EXPECT_EQ(result[1].logprobs, expected) << n_context;
    EXPECT_EQ(result[4].logprobs, expected) << n_context;
    EXPECT_EQ(result[2].logprobs[0], expected[0]);
    double sum = 0.0;
    for (float logprob : expected) sum += logprob;
    EXPECT_EQ(result[1].sum_logprob, sum);
  }
}

// A prompt cut from the left is as long as the model's context and its choice comes on top: the last id of a
// continuation is never fed.
TEST(EmbeddedEngine, AContextMayFillTheLimitBeforeItsLastScoredToken) {
  ModelFolder folder;
  const auto engine = folder.engine({.n_threads = 1, .max_tokens = 64});
  const std::vector<TokenId> ids = golden::input_ids(65);
  const std::vector<float> expected = folder.engine()->logprobs(ids, false).logprobs;
  const auto one = scores(*engine, {{ids.begin(), ids.begin() + 64}, {{ids[64]}}});
  EXPECT_EQ(one[0].logprobs, std::vector<float>{expected[63]});
  const auto two = scores(*engine, {{ids.begin(), ids.begin() + 63}, {{ids[63], ids[64]}}});
  EXPECT_EQ(two[0].logprobs, std::vector<float>({expected[62], expected[63]}));
}

TEST(EmbeddedEngine, IsGreedyMeansEveryTokenWasTheMostLikely) {
  ModelFolder folder;
  const auto engine = folder.engine({.attention = AttentionRule::kExpanded, .n_threads = 2});
  const std::vector<TokenId> best = generated(*engine, greedy(5)).ids;
  std::vector<TokenId> last_differs = best, first_differs = best;
  last_differs.back() = (best.back() + 1) % 520;
  first_differs.front() = (best.front() + 1) % 520;
  const auto result =
      scores(*engine, {golden::input_ids(20), {best, last_differs, first_differs, {best[0]}}});
  EXPECT_TRUE(result[0].is_greedy);
  EXPECT_FALSE(result[1].is_greedy);
  EXPECT_FALSE(result[2].is_greedy);
  EXPECT_TRUE(result[3].is_greedy);
}

TEST(EmbeddedEngine, MoreOneTokenContinuationsThanFitAtOnce) {
  ModelFolder folder;
  const auto engine = folder.engine();
  ScoreRequest request{golden::input_ids(10), {}};
  for (int i = 0; i < 9000; ++i) request.continuations.push_back({i % 520});
  const auto result = scores(*engine, request);
  ASSERT_EQ(result.size(), 9000u);
  double sum = 0.0;
  for (size_t i = 0; i < 520; ++i) {
    sum += std::exp(result[i].logprobs[0]);
    EXPECT_EQ(result[i].logprobs[0], result[i + 520 * 16].logprobs[0]);
  }
  EXPECT_NEAR(sum, 1.0, 1e-5);
}

TEST(EmbeddedEngine, ChunksAndThreadsDoNotChangeAnAnswer) {
  ModelFolder folder;
  std::vector<std::vector<float>> seen;
  std::vector<GenerateResult> texts;
  for (const EngineOptions& options :
       {EngineOptions{.n_threads = 1}, EngineOptions{.n_threads = 3, .chunk_tokens = 7},
        EngineOptions{.n_threads = 2, .chunk_tokens = 64}}) {
    const auto engine = folder.engine(options);
    const std::vector<TokenId> ids = golden::input_ids(130);
    seen.push_back(
        scores(*engine, {{ids.begin(), ids.begin() + 100}, {{ids.begin() + 100, ids.end()}}})[0].logprobs);
    texts.push_back(
        generated(*engine, {.prompt = ids, .max_tokens = 12, .sampling = {.temperature = 1.0, .seed = 3}}));
  }
  for (size_t i = 1; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i], seen[0]);
    EXPECT_EQ(texts[i].ids, texts[0].ids);
    EXPECT_EQ(texts[i].logprobs, texts[0].logprobs);
  }
}

TEST(EmbeddedEngine, GreedyGenerationIsTheChainOfMostLikelyIds) {
  ModelFolder folder;
  const auto engine = folder.engine({.attention = AttentionRule::kExpanded, .n_threads = 2});
  const GenerateResult result = generated(*engine, greedy(10));
  EXPECT_EQ(result.finish_reason, FinishReason::kLength);
  ASSERT_EQ(result.ids.size(), 10u);
  std::vector<TokenId> ids = golden::input_ids(20);
  ids.insert(ids.end(), result.ids.begin(), result.ids.end());
  const SequenceLogprobs whole = engine->logprobs(ids, false);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(result.ids[i], whole.argmax[19 + i]);
    EXPECT_EQ(result.logprobs[i], whole.logprobs[19 + i]);  // one form throughout: the same bits
  }
}

TEST(EmbeddedEngine, GeneratedTokensTakeTheAbsorbedFormUnlessToldOtherwise) {
  ModelFolder folder;
  std::vector<std::vector<float>> logprobs;
  for (AttentionRule rule : {AttentionRule::kAuto, AttentionRule::kExpanded, AttentionRule::kAbsorbed}) {
    const GenerateResult result = generated(*folder.engine({.attention = rule, .n_threads = 1}), greedy(30));
    logprobs.push_back(result.logprobs);
    EXPECT_NEAR(result.logprobs[20], logprobs[0][20], 1e-4);
  }
  // The prompt's own row has expanded bits under auto; the forms part in the last bits later.
  EXPECT_EQ(logprobs[0][0], logprobs[1][0]);
  EXPECT_NE(logprobs[0], logprobs[1]);
  EXPECT_NE(logprobs[0], logprobs[2]);
}

TEST(EmbeddedEngine, EosEndsAGenerationAndIgnoreEosDoesNot) {
  ModelFolder folder;
  const std::vector<TokenId> ids = generated(*folder.engine(), greedy(8)).ids;
  const auto first = static_cast<size_t>(std::find(ids.begin(), ids.end(), ids[4]) - ids.begin());
  for (const json& eos : {json(ids[4]), json::array({519, ids[4]})}) {
    folder.set_eos(eos);
    const auto engine = folder.engine();
    const GenerateResult ended = generated(*engine, greedy(8));
    EXPECT_EQ(ended.finish_reason, FinishReason::kEos);
    EXPECT_EQ(ended.ids, std::vector<TokenId>(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(first) + 1));
    EXPECT_EQ(ended.logprobs.size(), ended.ids.size());
    GenerateRequest request = greedy(8);
    request.ignore_eos = true;
    const GenerateResult went_on = generated(*engine, request);
    EXPECT_EQ(went_on.finish_reason, FinishReason::kLength);
    EXPECT_EQ(went_on.ids, ids);
  }
}

TEST(EmbeddedEngine, AStopStringCutsTheTextAndKeepsTheIds) {
  ModelFolder folder;
  const auto engine = folder.engine();
  const GenerateResult free = generated(*engine, greedy(24));
  ASSERT_GE(free.text.size(), 8u);
  // Three bytes from the middle of the text, wherever tokens begin.
  size_t at = free.text.size() / 2;
  while ((static_cast<unsigned char>(free.text[at]) & 0xC0) == 0x80) ++at;
  size_t end = at + 3;
  while (end < free.text.size() && (static_cast<unsigned char>(free.text[end]) & 0xC0) == 0x80) ++end;
  const std::string stop = free.text.substr(at, end - at);
  GenerateRequest request = greedy(24);
  request.stop = {"never in the text", stop};
  const GenerateResult stopped = generated(*engine, request);
  EXPECT_EQ(stopped.finish_reason, FinishReason::kStop);
  EXPECT_EQ(stopped.text, free.text.substr(0, free.text.find(stop)));
  EXPECT_LT(stopped.ids.size(), free.ids.size());
  EXPECT_TRUE(std::equal(stopped.ids.begin(), stopped.ids.end(), free.ids.begin()));
}

TEST(EmbeddedEngine, SampledTextDependsOnTheSeedAlone) {
  ModelFolder folder;
  const auto engine = folder.engine();
  const auto draw = [&](uint64_t seed) {
    GenerateRequest request = greedy(20);
    request.sampling = {.temperature = 1.0, .top_p = 0.95, .seed = seed};
    return generated(*engine, request).ids;
  };
  const std::vector<TokenId> first = draw(1);
  EXPECT_NE(draw(2), first);
  EXPECT_EQ(draw(1), first);
}

TEST(EmbeddedEngine, RefusesWhatItCannotComputeAndGoesOn) {
  ModelFolder folder;
  const auto engine = folder.engine({.n_threads = 1, .max_tokens = 64});
  EXPECT_EQ(engine->max_tokens(), 64);
  const std::vector<TokenId> ids = golden::input_ids(64);
  EXPECT_NE(failure(*engine, ScoreRequest{{}, {{1}}}).find("no token ids"), std::string::npos);
  EXPECT_NE(failure(*engine, ScoreRequest{{1}, {{1}, {}}}).find("no token ids"), std::string::npos);
  EXPECT_NE(failure(*engine, ScoreRequest{{1, 520}, {{1}}}).find("token id 520"), std::string::npos);
  EXPECT_NE(failure(*engine, ScoreRequest{{1}, {{2}, {-1}}}).find("token id -1"), std::string::npos);
  EXPECT_EQ(failure(*engine, ScoreRequest{ids, {{1}, {1, 2}}}),
            "a context of 64 tokens and a continuation of 2 exceed the limit of 64");
  EXPECT_NE(failure(*engine, GenerateRequest{.prompt = ids, .max_tokens = 1}).find("exceed the limit of 64"),
            std::string::npos);
  EXPECT_NE(failure(*engine, GenerateRequest{.prompt = {1}, .max_tokens = -1}).find("max_tokens"),
            std::string::npos);
  EXPECT_NE(failure(*engine, GenerateRequest{.prompt = {1}, .max_tokens = 1, .stop = {""}}).find("stop"),
            std::string::npos);
  for (double temperature : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const GenerateRequest request{.prompt = {1}, .max_tokens = 1, .sampling = {.temperature = temperature}};
    EXPECT_NE(failure(*engine, request).find("temperature"), std::string::npos);
  }
  for (double top_p : {0.0, -0.5, 1.5, std::nan("")}) {
    const GenerateRequest request{
        .prompt = {1}, .max_tokens = 1, .sampling = {.temperature = 1.0, .top_p = top_p}};
    EXPECT_NE(failure(*engine, request).find("top_p"), std::string::npos);
  }
  EXPECT_EQ(failure(*engine, ScoreRequest{{ids.begin(), ids.begin() + 63}, {{1}}}), "answered");
  EXPECT_FALSE(engine->next().has_value());
}

TEST(EmbeddedEngine, NothingToDoIsAnAnswer) {
  ModelFolder folder;
  const auto engine = folder.engine();
  EXPECT_TRUE(scores(*engine, {{1, 2}, {}}).empty());
  const GenerateResult none = generated(*engine, greedy(0));
  EXPECT_TRUE(none.ids.empty());
  EXPECT_EQ(none.finish_reason, FinishReason::kLength);
}

TEST(EmbeddedEngine, ANanOrInfinityNamesItsLayer) {
  const struct {
    const char* tensor;
    float value;
    const char* where;
  } cases[] = {
      {"model.layers.1.self_attn.o_proj.weight", NAN, "model.layers.1.self_attn"},
      {"model.layers.2.self_attn.kv_a_layernorm.weight", INFINITY, "model.layers.2.self_attn"},
      {"model.layers.0.mlp.down_proj.weight", INFINITY, "model.layers.0.mlp"},
      {"model.layers.1.mlp.gate.weight", NAN, "model.layers.1.mlp"},
      {"model.layers.2.mlp.shared_experts.up_proj.weight", NAN, "model.layers.2.mlp"},
      {"lm_head.weight", -INFINITY, "lm_head"},
  };
  for (const auto& c : cases) {
    ModelFolder folder;
    folder.set_element(c.tensor, 5, c.value);
    const auto engine = folder.engine();
    engine->submit({1, ScoreRequest{golden::input_ids(5), {{1}}}});
    try {
      engine->next();
      FAIL() << c.tensor;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kEngine);
      EXPECT_EQ(error.where(), c.where) << c.tensor;
    }
  }
}

TEST(EmbeddedEngine, DtypeBf16IsTheCheckpointStoredInBf16) {
  ModelFolder wide, narrow(tiny_config(), {.dtype = kernels::Dtype::kBF16});
  const std::vector<TokenId> ids = golden::input_ids(30);
  const auto rounded = wide.engine({.dtype = WeightDtype::kBF16, .n_threads = 2});
  const auto stored = narrow.engine();
  const auto asked_again = narrow.engine({.dtype = WeightDtype::kBF16, .n_threads = 2});
  EXPECT_EQ(rounded->logprobs(ids, false).logprobs, stored->logprobs(ids, false).logprobs);
  EXPECT_EQ(asked_again->logprobs(ids, false).logprobs, stored->logprobs(ids, false).logprobs);
  EXPECT_NE(wide.engine()->logprobs(ids, false).logprobs, stored->logprobs(ids, false).logprobs);
  EXPECT_EQ(json::parse(rounded->numerics_json())["weights"], "bf16");
  EXPECT_EQ(json::parse(asked_again->numerics_json())["weights"], "stored");
}

TEST(EmbeddedEngine, NumericsNameWhatBitsDependOnAndNothingElse) {
  ModelFolder folder;
  const std::string one = folder.engine({.n_threads = 1})->numerics_json();
  EXPECT_EQ(folder.engine({.n_threads = 3, .max_tokens = 100, .chunk_tokens = 5})->numerics_json(), one);
  EXPECT_NE(folder.engine({.attention = AttentionRule::kAbsorbed})->numerics_json(), one);
  const json numerics = json::parse(one);
  EXPECT_EQ(numerics["kernel_set"], kernels::kernel_set(kernels::Space::kCpu));
  EXPECT_EQ(numerics["instruction_set"], kernels::instruction_set(kernels::Space::kCpu));
  EXPECT_EQ(numerics.size(), 6u);
}

TEST(EmbeddedEngine, TheLatentCacheLimitsTheLongestSequence) {
  ModelFolder folder;
  // 3 layers of 40 floats a token: 30,720 bytes a block of 64.
  EXPECT_EQ(folder.engine({.kv_memory_bytes = 100000})->max_tokens(), 192);
  EXPECT_EQ(folder.engine({.max_tokens = 100, .kv_memory_bytes = 100000})->max_tokens(), 100);
  EXPECT_THROW(folder.engine({.max_tokens = 193, .kv_memory_bytes = 100000}), Error);
  EXPECT_THROW(folder.engine({.kv_memory_bytes = 1000}), Error);
  EXPECT_EQ(folder.engine({.kv_memory_bytes = int64_t{1} << 40})->max_tokens(), 163840);
}

TEST(EmbeddedEngine, WithoutATokenizerThereAreIdsButNoText) {
  ModelFolder folder;
  const auto engine = folder.engine_without_tokenizer();
  const GenerateResult result = generated(*engine, greedy(3));
  EXPECT_EQ(result.ids.size(), 3u);
  EXPECT_EQ(result.text, "");
  GenerateRequest request = greedy(3);
  request.stop = {"x"};
  EXPECT_NE(failure(*engine, request).find("tokenizer"), std::string::npos);
}

TEST(EmbeddedEngine, ATokenizerLargerThanTheModelIsRefused) {
  json config = tiny_config();
  config["vocab_size"] = 128;
  ModelFolder folder(config);
  EXPECT_THROW(folder.engine(), Error);
}

TEST(EmbeddedEngine, EosIdsOfAnotherFormAreRefused) {
  ModelFolder folder;
  for (const json& eos : {json("</s>"), json(520), json(-1), json::array({1, 1.5})}) {
    folder.set_eos(eos);
    EXPECT_THROW(folder.engine(), Error) << eos;
  }
}

TEST(EmbeddedEngine, LogprobsHaveTopIdsAndRoutes) {
  ModelFolder folder;
  const auto engine = folder.engine({.n_threads = 2, .chunk_tokens = 16});
  const std::vector<TokenId> ids = golden::input_ids(37);
  const SequenceLogprobs scores = engine->logprobs(ids, true);
  EXPECT_EQ(scores.logprobs.size(), 36u);
  EXPECT_EQ(scores.argmax.size(), 37u);
  EXPECT_EQ(scores.top_ids.size(), 20u);
  EXPECT_EQ(scores.top_ids[0], scores.argmax.back());
  EXPECT_TRUE(std::is_sorted(scores.top_logprobs.rbegin(), scores.top_logprobs.rend()));
  ASSERT_EQ(scores.routes.size(), 3u);
  EXPECT_TRUE(scores.routes[0].empty());
  EXPECT_EQ(scores.routes[1].size(), 37u * 3);
  EXPECT_TRUE(engine->logprobs(ids, false).routes.empty());
  EXPECT_EQ(engine->logprobs({ids.data(), 1}, false).logprobs.size(), 0u);
}

}  // namespace
}  // namespace fathom::engine
