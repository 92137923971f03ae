// Randomised schedules: whatever is submitted together, in whatever order, with whatever chunks, threads and
// memory, every answer has the bits of the request computed alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "tests/engine/model_folder.h"
#include "tests/engine/one_at_a_time.h"

namespace fathom::engine {
namespace {

constexpr int64_t kVocabulary = 520;
constexpr int64_t kLongest = 400;

int64_t n_schedules() {
  const char* const asked = std::getenv("FATHOM_SCHEDULES");
  return asked == nullptr ? 100 : std::atoll(asked);
}

/// The checkpoint, written once, and what each request is worth alone.
class Truth {
 public:
  explicit Truth(kernels::LatentFormat kv = kernels::LatentFormat::kF32)
      : checkpoint_(folder_.checkpoint()), kv_(kv), alone_(checkpoint_, kv) {}

  const ScoreResult& of(const ScoreRequest& request) {
    const auto key = std::make_pair(request.context, request.continuations);
    const auto it = scores_.find(key);
    return it != scores_.end() ? it->second : scores_[key] = alone_.score(request);
  }
  const GenerateResult& of(const GenerateRequest& request) {
    const auto key = std::make_tuple(request.prompt, request.max_tokens, request.sampling.temperature,
                                     request.sampling.seed);
    const auto it = texts_.find(key);
    return it != texts_.end() ? it->second : texts_[key] = alone_.generate(request);
  }

  std::unique_ptr<EmbeddedEngine> engine(EngineOptions options) {
    options.kv = kv_;
    return make_embedded_engine(checkpoint_, nullptr, options);
  }

 private:
  ModelFolder folder_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  kernels::LatentFormat kv_;
  OneAtATime alone_;
  std::map<std::pair<std::vector<TokenId>, std::vector<std::vector<TokenId>>>, ScoreResult> scores_;
  std::map<std::tuple<std::vector<TokenId>, int64_t, double, uint64_t>, GenerateResult> texts_;
};

/// Requests whose prompts branch off each other, at and inside block boundaries.
class Requests {
 public:
  explicit Requests(uint64_t seed) : random_(seed) {}

  int64_t below(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random_); }

  Request next(uint64_t id) {
    std::vector<TokenId> prompt = new_prompt();
    prompts_.push_back(prompt);
    if (below(2) == 0) {
      ScoreRequest score{std::move(prompt), {}};
      const int64_t n = 1 + below(4);
      for (int64_t i = 0; i < n; ++i) score.continuations.push_back(tail(below(3) == 0 ? 1 : 1 + below(70)));
      return {id, std::move(score)};
    }
    GenerateRequest generate{.prompt = std::move(prompt), .max_tokens = 1 + below(12)};
    if (below(2) == 0) generate.sampling = {.temperature = 1.0, .seed = static_cast<uint64_t>(below(3))};
    return {id, std::move(generate)};
  }

 private:
  std::vector<TokenId> tail(int64_t n) {
    std::vector<TokenId> ids;
    for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>(below(kVocabulary)));
    return ids;
  }

  std::vector<TokenId> new_prompt() {
    if (prompts_.empty() || below(5) == 0) return tail(1 + below(250));
    std::vector<TokenId> ids = prompts_[static_cast<size_t>(below(std::ssize(prompts_)))];
    int64_t n = 1 + below(std::ssize(ids));
    if (below(2) == 0 && n > kernels::kBlockTokens) n -= n % kernels::kBlockTokens;
    ids.resize(static_cast<size_t>(n));
    const std::vector<TokenId> more = tail(below(60));
    ids.insert(ids.end(), more.begin(), more.end());
    if (std::ssize(ids) > 300) ids.resize(300);
    return ids;
  }

  std::mt19937_64 random_;
  std::vector<std::vector<TokenId>> prompts_;
};

/// Whether two answers are the same to the bit.
bool same(const ScoreResult& a, const ScoreResult& b) {
  return std::equal(a.continuations.begin(), a.continuations.end(), b.continuations.begin(),
                    b.continuations.end(), [](const ContinuationScore& x, const ContinuationScore& y) {
                      return x.logprobs == y.logprobs && x.sum_logprob == y.sum_logprob &&
                             x.is_greedy == y.is_greedy;
                    });
}
bool same(const GenerateResult& a, const GenerateResult& b) {
  return a.ids == b.ids && a.logprobs == b.logprobs;
}

struct Tally {
  int64_t n_answers = 0;
  int64_t n_different = 0;
  int64_t n_schedules_with_hits = 0;
  int64_t n_schedules_with_mixed_steps = 0;
  int64_t n_schedules_branching_at_a_boundary = 0;
  int64_t n_schedules_branching_inside = 0;
  int64_t n_schedules_short_of_memory = 0;
};

/// Submits `n` requests in bursts, collecting in between, and compares every answer.
void run_schedule(Engine& engine, Truth& truth, Requests& requests, int64_t n, Tally& tally) {
  std::map<uint64_t, Request> out;
  bool at_boundary = false, inside = false, hits = false;
  const auto collect = [&] {
    const std::optional<Completion> completion = engine.next();
    ASSERT_TRUE(completion.has_value());
    const Request request = out.at(completion->id);
    out.erase(completion->id);
    ++tally.n_answers;
    const bool equal = std::visit(
        [&](const auto& body) {
          const auto& expected = truth.of(body);
          const auto* got = std::get_if<std::decay_t<decltype(expected)>>(&completion->result);
          return got != nullptr && same(*got, expected);
        },
        request.body);
    if (!equal) ++tally.n_different;
    const int64_t cached = completion->timing.cached_tokens;
    hits = hits || cached > 0;
    at_boundary = at_boundary || (cached > 0 && cached % kernels::kBlockTokens == 0);
    inside = inside || cached % kernels::kBlockTokens != 0;
  };
  for (uint64_t id = 1; id <= static_cast<uint64_t>(n);) {
    for (int64_t burst = 1 + requests.below(requests.below(4) == 0 ? 64 : 8);
         burst > 0 && id <= static_cast<uint64_t>(n); --burst, ++id) {
      const Request request = requests.next(id);
      out.emplace(id, request);
      engine.submit(request);
    }
    for (int64_t k = requests.below(4); k > 0 && !out.empty(); --k) collect();
  }
  while (!out.empty()) collect();
  EXPECT_FALSE(engine.next().has_value());
  tally.n_schedules_with_hits += hits ? 1 : 0;
  tally.n_schedules_branching_at_a_boundary += at_boundary ? 1 : 0;
  tally.n_schedules_branching_inside += inside ? 1 : 0;
}

/// Random schedules of an engine with this cache format against each request alone.
void try_schedules(kernels::LatentFormat kv, int64_t n, Tally& tally) {
  Truth truth(kv);
  for (int64_t i = 0; i < n; ++i) {
    Requests requests(static_cast<uint64_t>(1000 + i % 40));  // 40 sets of requests in ever new schedules
    std::mt19937_64 random(static_cast<uint64_t>(i));
    const auto pick = [&](std::initializer_list<int64_t> of) { return of.begin()[random() % of.size()]; };
    const int64_t n_blocks = pick({7, 9, 14, 40, 200});
    const int64_t row_bytes = kernels::LatentLayout(kv, 32, 8).row_bytes;
    const auto engine = truth.engine({.n_threads = static_cast<int>(pick({1, 2, 3})),
                                      .max_tokens = kLongest,
                                      .kv_memory_bytes = n_blocks * 64 * 3 * row_bytes,
                                      .chunk_tokens = pick({16, 33, 64, 100, 512, 4096})});
    run_schedule(*engine, truth, requests, 6 + pick({0, 0, 6, 20, 60}), tally);
    const SchedulerCounters counters = engine->counters();
    tally.n_schedules_with_mixed_steps += counters.n_mixed_steps > 0 ? 1 : 0;
    tally.n_schedules_short_of_memory += counters.n_forgotten_blocks > 0 ? 1 : 0;
    EXPECT_LE(counters.blocks_used, n_blocks);
    ASSERT_EQ(tally.n_different, 0) << "schedule " << i;
  }
}

TEST(Schedules, AnAnswerDoesNotDependOnWhatRanBesideIt) {
  Tally tally;
  const int64_t n = n_schedules();
  try_schedules(kernels::LatentFormat::kF32, n, tally);
  RecordProperty("answers", static_cast<int>(tally.n_answers));
  EXPECT_GE(tally.n_answers, 6 * n);
  EXPECT_GE(tally.n_schedules_with_hits, n / 5);
  EXPECT_GE(tally.n_schedules_with_mixed_steps, n / 5);
  EXPECT_GE(tally.n_schedules_branching_at_a_boundary, n / 5);
  EXPECT_GE(tally.n_schedules_branching_inside, n / 5);
  EXPECT_GE(tally.n_schedules_short_of_memory, n / 5);
}

TEST(Schedules, NorDoesItInACacheThatRounds) {
  for (const kernels::LatentFormat kv : kernels::kLatentFormats) {
    if (kv == kernels::LatentFormat::kF32) continue;
    SCOPED_TRACE(kernels::latent_format_name(kv));
    Tally tally;
    const int64_t n = std::max<int64_t>(1, n_schedules() / 10);
    try_schedules(kv, n, tally);
    EXPECT_GE(tally.n_answers, 6 * n);
  }
}

TEST(Schedules, TheFormatOfTheCacheIsPartOfTheAnswer) {
  const ScoreRequest request{golden::input_ids(100), {{1, 2, 3}}};
  Truth exact;
  std::vector<std::vector<float>> seen = {exact.of(request).continuations[0].logprobs};
  for (const kernels::LatentFormat kv : kernels::kLatentFormats) {
    if (kv == kernels::LatentFormat::kF32) continue;
    Truth truth(kv);
    const std::vector<float> logprobs = truth.of(request).continuations[0].logprobs;
    EXPECT_EQ(std::find(seen.begin(), seen.end(), logprobs), seen.end()) << kernels::latent_format_name(kv);
    for (size_t i = 0; i < logprobs.size(); ++i) EXPECT_NEAR(logprobs[i], seen[0][i], 0.2);
    seen.push_back(logprobs);
  }
}

/// An engine with the defect that the test above is there to catch: a request that waits beside others takes
/// another order of summation (the absorbed form of attention, equal but for rounding).
class DependsOnTheBatch : public Engine {
 public:
  explicit DependsOnTheBatch(Truth& truth)
      : alone_(truth.engine({.n_threads = 1})),
        together_(truth.engine({.attention = AttentionRule::kAbsorbed, .n_threads = 1})) {}

  void submit(Request request) override {
    (n_waiting_ == 0 ? alone_ : together_)->submit(std::move(request));
    ++n_waiting_;
  }
  std::optional<Completion> next() override {
    std::optional<Completion> completion = alone_->next();
    if (!completion) completion = together_->next();
    if (completion) --n_waiting_;
    return completion;
  }
  int64_t max_tokens() const override { return alone_->max_tokens(); }
  std::string numerics_json() const override { return alone_->numerics_json(); }
  EngineLoad load() const override { return alone_->load(); }

 private:
  std::unique_ptr<EmbeddedEngine> alone_, together_;
  int64_t n_waiting_ = 0;
};

TEST(Schedules, AnEngineWhoseSumsDependOnTheBatchIsCaught) {
  Truth truth;
  Tally tally;
  DependsOnTheBatch engine(truth);
  Requests requests(1000);
  run_schedule(engine, truth, requests, 20, tally);
  EXPECT_GT(tally.n_different, 0);
}

TEST(Schedules, GeneratedTokensNeverBecomeAPromptsBeginning) {
  Truth truth;
  const auto engine = truth.engine({.n_threads = 1});
  const auto answer = [&](Request request) {
    engine->submit(std::move(request));
    return std::move(*engine->next());
  };
  const std::vector<TokenId> prompt = golden::input_ids(100);
  const Completion first = answer({1, GenerateRequest{.prompt = prompt, .max_tokens = 60}});
  std::vector<TokenId> longer = prompt;
  const auto& generated = std::get<GenerateResult>(first.result).ids;
  longer.insert(longer.end(), generated.begin(), generated.end());
  const Completion second = answer({2, ScoreRequest{longer, {{1}}}});
  EXPECT_EQ(second.timing.cached_tokens, 100);
  EXPECT_TRUE(same(std::get<ScoreResult>(second.result), truth.of(ScoreRequest{longer, {{1}}})));
  // Asked again, all but the token that is always computed are there.
  EXPECT_EQ(answer({3, ScoreRequest{longer, {{1}}}}).timing.cached_tokens, 159);
}

TEST(Schedules, AloneSharesNothing) {
  Truth truth;
  Tally tally;
  Requests requests(1001);
  const auto engine = truth.engine({.n_threads = 1, .schedule = Schedule::kAlone});
  run_schedule(*engine, truth, requests, 10, tally);
  EXPECT_EQ(tally.n_different, 0);
  EXPECT_EQ(tally.n_schedules_with_hits, 0);
  EXPECT_EQ(engine->counters().n_mixed_steps, 0);
}

TEST(Schedules, WhatIsBeingComputedIsWaitedFor) {
  Truth truth;
  const auto engine = truth.engine({.n_threads = 1, .chunk_tokens = 64});
  std::vector<TokenId> a = golden::input_ids(300), b = a;
  b.back() = (b.back() + 1) % 100;
  engine->submit({1, ScoreRequest{a, {{1}, {2}}}});
  engine->submit({2, ScoreRequest{b, {{1}, {2}}}});
  while (engine->next()) {
  }
  const SchedulerCounters counters = engine->counters();
  EXPECT_EQ(counters.prompt_tokens, 600);
  EXPECT_EQ(counters.cached_tokens, 299);
}

}  // namespace
}  // namespace fathom::engine
