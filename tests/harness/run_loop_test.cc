#include "harness/run_loop.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <set>

#include "base/error.h"
#include "harness/sample_record.h"
#include "results/samples.h"
#include "results/schema.h"
#include "results/throughput.h"
#include "tests/results/example_run.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

// Answers from a function, newest request first, so that the order of completions differs from submission.
class FunctionEngine : public engine::Engine {
 public:
  using Answer = std::function<engine::Completion(const engine::Request&)>;
  explicit FunctionEngine(Answer answer) : answer_(std::move(answer)) {}

  void submit(engine::Request request) override { waiting_.push_back(std::move(request)); }
  std::optional<engine::Completion> next() override {
    if (waiting_.empty()) return std::nullopt;
    engine::Completion completion = answer_(waiting_.back());
    completion.id = waiting_.back().id;
    waiting_.pop_back();
    ++n_answered;
    return completion;
  }
  engine::EngineLoad load() const override { return load_; }
  int64_t max_tokens() const override { return 64; }
  std::string numerics_json() const override { return "{}"; }

  int n_answered = 0;
  engine::EngineLoad load_;  // set before the run

 private:
  Answer answer_;
  std::deque<engine::Request> waiting_;
};

// The choice whose index the context's only token names gets log p 0, the others -1.
engine::Completion choose(const engine::Request& request) {
  const auto& score = std::get<engine::ScoreRequest>(request.body);
  engine::ScoreResult result;
  for (int i = 0; i < static_cast<int>(score.continuations.size()); ++i) {
    const bool chosen = i == score.context.front() % 4;
    result.continuations.push_back(
        {.sum_logprob = chosen ? 0.0 : -1.0, .logprobs = {chosen ? 0.0f : -1.0f}, .is_greedy = chosen});
  }
  return {.id = 0, .result = std::move(result), .timing = {}};
}

tasks::Task choice_task() {
  tasks::Task task;
  task.name = "letters";
  task.version = "1";
  task.kind = tasks::TaskKind::kChoice;
  task.scorer = tasks::ScorerId::kChoice;
  task.metrics = {{"acc", "none"}};
  return task;
}

OpenTask open_choice(const tasks::Task& task, int64_t n) {
  OpenTask open{.task = &task, .documents = {}, .n_planned = n};
  for (int64_t i = 0; i < n; ++i) {
    open.documents.samples.push_back({.doc_id = i,
                                      .doc_key = std::to_string(i),
                                      .cluster = "",
                                      .target = "A",
                                      .fields = {{"choices", {"w", "x", "y", "z"}}, {"gold", 0}}});
  }
  return open;
}

results::RunRecord record_for(const OpenTask& open, results::ScoringRecord scoring) {
  results::RunRecord run = results::example_run();
  results::TaskRecord task = results::example_choice_task(open.task->name, open.n_planned);
  task.kind = std::string(tasks::task_kind_name(open.task->kind));
  task.n_reps = open.n_reps;
  task.groups.clear();
  task.scorings = {std::move(scoring)};
  run.tasks = {task};
  return run;
}

// Feeds items that were built by hand, in place of rendering and tokenising.
class Fixture {
 public:
  explicit Fixture(OpenTask open, results::ScoringRecord scoring = {.metric = "acc", .headline = true})
      : open_{std::move(open)},
        store_(results::Store::open_for_writing(folder_ / "results.db", "test")),
        started_(store_.begin_run(record_for(open_[0], std::move(scoring)))) {}

  LoopEnd run(engine::Engine& engine, CodeExecution* code = nullptr, const std::atomic<int>* stop = nullptr) {
    std::deque<WorkItem> items;
    for (size_t doc = 0; doc < static_cast<size_t>(open_[0].n_planned); ++doc) {
      for (int64_t rep = 0; rep < open_[0].n_reps; ++rep) items.push_back(item(doc, rep));
    }
    const NextItem next = [&items]() -> std::optional<WorkItem> {
      if (items.empty()) return std::nullopt;
      WorkItem item = std::move(items.front());
      items.pop_front();
      return item;
    };
    return run_loop({.tasks = open_,
                     .engine = &engine,
                     .code = code,
                     .store = &store_,
                     .seed = 0,
                     .progress_name = "test",
                     .n_already_stored = 0,
                     .on_committed = on_committed,
                     .stop = stop},
                    next, counts);
  }

  // What another process sees now.
  int64_t n_on_disk() {
    return results::open_for_reading(folder_ / "results.db").query_int("SELECT count(*) FROM sample");
  }

  void finish() { store_.finish_run(results::RunStatus::kInterrupted, "test"); }

  std::optional<results::RunThroughput> throughput() {
    return results::run_throughput(store_.database(), started_.run_id);
  }

  std::vector<results::StoredSample> stored() {
    std::vector<results::StoredSample> samples;
    results::for_each_sample(store_.database(), started_.run_id, "",
                             [&](const results::StoredSample& sample) { samples.push_back(sample); });
    return samples;
  }

  std::function<WorkItem(size_t doc, int64_t rep)> item = [](size_t doc, int64_t rep) {
    WorkItem item{.task = 0, .doc = doc, .rep = rep, .prompt = {}, .request = {}};
    item.request.text = "prompt " + std::to_string(doc);
    item.request.body = engine::ScoreRequest{.context = {static_cast<engine::TokenId>(doc)},
                                             .continuations = {{1}, {2}, {3}, {4}}};
    return item;
  };
  LoopCounts counts;
  std::function<void(std::span<const results::SampleRecord>)> on_committed;

 private:
  testing::TemporaryFolder folder_;
  std::vector<OpenTask> open_;
  results::Store store_;
  results::StartedRun started_;
};

TEST(RunLoop, EverySampleIsStoredUnderItsOwnDocumentWhateverTheOrderOfAnswers) {
  const tasks::Task task = choice_task();
  Fixture fixture(open_choice(task, 150));
  FunctionEngine engine(choose);
  EXPECT_EQ(fixture.run(engine), LoopEnd::kFinished);
  const auto samples = fixture.stored();
  ASSERT_EQ(samples.size(), 150u);
  for (const results::StoredSample& sample : samples) {
    EXPECT_EQ(sample.scores.at(0).value, sample.ordinal % 4 == 0 ? 1.0 : 0.0) << sample.ordinal;
    EXPECT_EQ(sample.choice_logprobs.at(static_cast<size_t>(sample.ordinal % 4)), 0.0);
    EXPECT_EQ(sample.prompt_sha256, sha256("prompt " + std::to_string(sample.ordinal)));
    EXPECT_EQ(sample.gold, 0);
  }
  EXPECT_EQ(fixture.counts.n_samples, 150);
  EXPECT_EQ(fixture.counts.n_errors, 0);
}

TEST(RunLoop, SamplesAreAnnouncedOnceEachAndOnlyWhenTheyAreOnDisk) {
  const tasks::Task task = choice_task();
  Fixture fixture(open_choice(task, 150));
  int64_t n_announced = 0;
  std::set<size_t> docs;
  fixture.on_committed = [&](std::span<const results::SampleRecord> samples) {
    EXPECT_LE(samples.size(), 64u);
    n_announced += static_cast<int64_t>(samples.size());
    for (const results::SampleRecord& sample : samples) docs.insert(sample.doc);
    EXPECT_EQ(fixture.n_on_disk(), n_announced);
  };
  FunctionEngine engine(choose);
  fixture.run(engine);
  EXPECT_EQ(n_announced, 150);
  EXPECT_EQ(docs.size(), 150u);
}

TEST(RunLoop, WhatTheRunDidIsRecordedInTicks) {
  const tasks::Task task = choice_task();
  Fixture fixture(open_choice(task, 20));
  FunctionEngine engine(choose);
  engine.load_.n_running = 1;
  engine.load_.blocks_total = 7;
  fixture.run(engine);
  fixture.finish();
  const auto throughput = fixture.throughput();
  ASSERT_TRUE(throughput);
  EXPECT_EQ(throughput->n_samples, 20);
  EXPECT_EQ(throughput->first_token.count(), 20);
  EXPECT_EQ(throughput->max_running, 1);
  EXPECT_EQ(throughput->blocks_total, 7);
  EXPECT_GT(throughput->max_rss_bytes, 0);
}

TEST(RunLoop, ARefusedPromptIsAnErrorWithoutAScoreAndIsNeverSent) {
  const tasks::Task task = choice_task();
  Fixture fixture(open_choice(task, 3));
  const auto plain = fixture.item;
  fixture.item = [plain](size_t doc, int64_t rep) {
    WorkItem item = plain(doc, rep);
    if (doc == 1) item.request.refusal = "too long";
    return item;
  };
  FunctionEngine engine(choose);
  fixture.run(engine);
  EXPECT_EQ(engine.n_answered, 2);
  const auto samples = fixture.stored();
  EXPECT_EQ(samples.at(1).status, results::SampleStatus::kError);
  EXPECT_EQ(samples.at(1).error, "too long");
  EXPECT_TRUE(samples.at(1).scores.empty());
  EXPECT_EQ(fixture.counts.n_errors, 1);
}

TEST(RunLoop, AFailedRequestIsAnErrorAndTheRestGoesOn) {
  const tasks::Task task = choice_task();
  Fixture fixture(open_choice(task, 3));
  FunctionEngine engine([](const engine::Request& request) {
    if (std::get<engine::ScoreRequest>(request.body).context.front() == 2) {
      return engine::Completion{.id = 0, .result = engine::RequestFailure{"no room"}, .timing = {}};
    }
    return choose(request);
  });
  fixture.run(engine);
  EXPECT_EQ(fixture.stored().at(2).error, "no room");
  EXPECT_EQ(fixture.stored().at(0).outcome(), results::ScoreOutcome::kScored);
}

TEST(RunLoop, WhatWasAnsweredBeforeTheEngineFailsIsStored) {
  const tasks::Task task = choice_task();
  Fixture fixture(open_choice(task, 10));
  int n = 0;
  FunctionEngine engine([&n](const engine::Request& request) {
    if (++n == 5) throw Error(ErrorKind::kEngine, "layer 3: NaN");
    return choose(request);
  });
  EXPECT_THROW(fixture.run(engine), Error);
  EXPECT_EQ(fixture.stored().size(), 4u);
}

TEST(RunLoop, AStopSignalEndsTheLoopAfterTheRequestAtHand) {
  const tasks::Task task = choice_task();
  Fixture fixture(open_choice(task, 10));
  std::atomic<int> stop{0};
  int n = 0;
  FunctionEngine engine([&](const engine::Request& request) {
    if (++n == 3) stop = 2;
    return choose(request);
  });
  EXPECT_EQ(fixture.run(engine, nullptr, &stop), LoopEnd::kInterrupted);
  EXPECT_EQ(fixture.stored().size(), 3u);
}

// Holds every program back until the loop waits, then answers the last one first.
class SlowSandbox : public CodeExecution {
 public:
  CodePolicy policy() const override { return {}; }
  void submit(CodeJob job) override { jobs.push_back(std::move(job)); }
  std::optional<CodeOutcome> next(Wait wait) override {
    if (wait == Wait::kPoll || n_taken == jobs.size()) return std::nullopt;
    const CodeJob& job = jobs[jobs.size() - ++n_taken];
    return CodeOutcome{.id = job.id, .verdict = job.completion == "good" ? "pass" : "fail", .attempts = {}};
  }
  std::vector<CodeJob> jobs;
  size_t n_taken = 0;
};

TEST(RunLoop, ProgramsRunBesideTheEngineAndTheirVerdictsReachTheRightRepeat) {
  tasks::Task task = choice_task();
  task.kind = tasks::TaskKind::kCode;
  task.scorer = tasks::ScorerId::kHumaneval;
  task.metrics = {{"pass@1", "none"}};
  OpenTask open = open_choice(task, 2);
  open.n_reps = 3;
  for (tasks::Sample& sample : open.documents.samples) {
    sample.fields = {{"prompt", "def f():\n"}, {"test", "def check(f): pass\n"}, {"entry_point", "f"}};
  }
  Fixture fixture(std::move(open), {.metric = "pass@1", .headline = true});
  std::vector<uint64_t> seeds;
  fixture.item = [](size_t doc, int64_t rep) {
    WorkItem item{.task = 0, .doc = doc, .rep = rep, .prompt = {}, .request = {}};
    item.request.body = engine::GenerateRequest{.prompt = {static_cast<engine::TokenId>(doc)},
                                                .max_tokens = 4,
                                                .stop = {},
                                                .sampling = {},
                                                .ignore_eos = false};
    return item;
  };
  FunctionEngine engine([&](const engine::Request& request) {
    const auto& generate = std::get<engine::GenerateRequest>(request.body);
    seeds.push_back(generate.sampling.seed);
    engine::GenerateResult result{.ids = {7},
                                  .text = generate.prompt.front() == 1 ? "good" : "bad",
                                  .logprobs = {-1.0f},
                                  .finish_reason = engine::FinishReason::kEos};
    return engine::Completion{.id = 0, .result = std::move(result), .timing = {}};
  });
  SlowSandbox sandbox;
  EXPECT_EQ(fixture.run(engine, &sandbox), LoopEnd::kFinished);
  EXPECT_EQ(sandbox.jobs.size(), 6u);
  const auto samples = fixture.stored();
  ASSERT_EQ(samples.size(), 6u);
  for (const results::StoredSample& sample : samples)
    EXPECT_EQ(sample.scores.at(0).value, static_cast<double>(sample.ordinal));
  std::sort(seeds.begin(), seeds.end());
  EXPECT_EQ(std::unique(seeds.begin(), seeds.end()), seeds.end()) << "repeats must draw differently";
}

TEST(SampleSeed, DependsOnRunDocumentAndRepeatAlone) {
  EXPECT_EQ(sample_seed(1, sha256("doc"), 0), sample_seed(1, sha256("doc"), 0));
  EXPECT_NE(sample_seed(1, sha256("doc"), 0), sample_seed(2, sha256("doc"), 0));
  EXPECT_NE(sample_seed(1, sha256("doc"), 0), sample_seed(1, sha256("cod"), 0));
  EXPECT_NE(sample_seed(1, sha256("doc"), 0), sample_seed(1, sha256("doc"), 1));
}

}  // namespace
}  // namespace fathom::harness
