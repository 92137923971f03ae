#include "harness/run_loop.h"

#include <chrono>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "harness/sample_record.h"
#include "harness/throughput_recorder.h"
#include "scorers/scorer.h"

namespace fathom::harness {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kEngineWindow = 256;  // requests in the engine: enough to order, share and batch their work
constexpr size_t kHeadlineScore = 0;   // make_run_record's order
constexpr size_t kBatchSamples = 64;
constexpr std::chrono::milliseconds kBatchAge{1000};

// Samples on their way to the disk.
class Batch {
 public:
  Batch(const LoopInputs& inputs, ThroughputRecorder& recorder)
      : inputs_(inputs), recorder_(recorder), last_commit_(Clock::now()) {}

  void add(results::SampleRecord record) { records_.push_back(std::move(record)); }

  void commit_if_due() {
    if (records_.size() >= kBatchSamples || Clock::now() - last_commit_ >= kBatchAge) commit();
  }

  void commit() {
    for (const results::PerfTick& tick : recorder_.take()) inputs_.store->add_tick(tick);
    if (!records_.empty()) {
      inputs_.store->commit_samples(records_);
      if (inputs_.on_committed) inputs_.on_committed(records_);
    }
    n_committed_ += static_cast<int64_t>(records_.size());
    records_.clear();
    last_commit_ = Clock::now();
  }

  int64_t n_committed() const { return n_committed_; }

 private:
  const LoopInputs& inputs_;
  ThroughputRecorder& recorder_;
  std::vector<results::SampleRecord> records_;
  int64_t n_committed_ = 0;
  Clock::time_point last_commit_;
};

// Without an answer, or with one that could not be judged.
bool is_unscored(const results::SampleRecord& record) {
  return record.status == results::SampleStatus::kError ||
         record.scores.at(kHeadlineScore).outcome == results::ScoreOutcome::kError;
}

// An item whose answer, or whose program's verdict, is still out.
struct Pending {
  size_t task = 0;
  const tasks::Sample* sample = nullptr;
  results::SampleRecord record;
  scorers::Response response;
};

class Loop {
 public:
  Loop(const LoopInputs& inputs, const NextItem& next_item, LoopCounts& counts)
      : inputs_(inputs),
        next_item_(next_item),
        counts_(counts),
        recorder_(*inputs.engine),
        batch_(inputs, recorder_),
        progress_(inputs.progress_name, "samples", total()),
        start_(Clock::now()) {}

  LoopEnd run() {
    try {
      while (!stopped()) {
        fill_engine();
        if (computing_.empty()) break;
        take_completion();
        take_verdicts(CodeExecution::Wait::kPoll);
        batch_.commit_if_due();
        report();
      }
      if (inputs_.code != nullptr && !stopped()) take_verdicts(CodeExecution::Wait::kWait);
    } catch (...) {
      recorder_.stop();
      batch_.commit();  // what was answered before the failure stays
      throw;
    }
    recorder_.stop();
    batch_.commit();
    report();
    counts_.elapsed_s = std::chrono::duration<double>(Clock::now() - start_).count();
    return stopped() ? LoopEnd::kInterrupted : LoopEnd::kFinished;
  }

 private:
  bool stopped() const { return inputs_.stop != nullptr && inputs_.stop->load() != 0; }

  int64_t total() const {
    int64_t n = 0;
    for (const OpenTask& task : inputs_.tasks) n += task.n_planned * task.n_reps;
    return n - inputs_.n_already_stored;
  }

  void fill_engine() {
    while (!feed_ended_ && computing_.size() < kEngineWindow) {
      std::optional<WorkItem> item = next_item_();
      if (!item) {
        feed_ended_ = true;
        return;
      }
      submit(std::move(*item));
    }
  }

  void submit(WorkItem item) {
    const tasks::Sample& sample = inputs_.tasks[item.task].documents.samples[item.doc];
    Pending pending{item.task, &sample, begin_record(item), {}};
    if (item.request.refusal) {
      pending.record.status = results::SampleStatus::kError;
      pending.record.finish = results::Finish::kNone;
      pending.record.error = *item.request.refusal;
      finish(std::move(pending.record));
      return;
    }
    engine::Request request{.id = next_id_++, .body = {}};
    if (auto* score = std::get_if<engine::ScoreRequest>(&item.request.body)) {
      request.body = std::move(*score);
    } else {
      auto& generate = std::get<engine::GenerateRequest>(item.request.body);
      generate.sampling.seed = sample_seed(inputs_.seed, document_sha256(sample), item.rep);
      request.body = std::move(generate);
    }
    counts_.prompt_tokens += pending.record.n_prompt;
    computing_.emplace(request.id, std::move(pending));
    inputs_.engine->submit(std::move(request));
  }

  void take_completion() {
    std::optional<engine::Completion> completion = inputs_.engine->next();
    FATHOM_CHECK(completion.has_value(), "the engine is done with {} requests out", computing_.size());
    recorder_.add(*completion);
    auto node = computing_.extract(completion->id);
    FATHOM_CHECK(!node.empty(), "completion of unknown request {}", completion->id);
    Pending pending = std::move(node.mapped());
    std::optional<scorers::Response> response = add_answer(*completion, *pending.sample, pending.record);
    counts_.cached_tokens += pending.record.n_cached;
    counts_.output_tokens += static_cast<int64_t>(pending.record.output_ids.size());
    if (!response) {
      finish(std::move(pending.record));
      return;
    }
    pending.response = std::move(*response);
    const tasks::Task& task = *inputs_.tasks[pending.task].task;
    if (task.kind == tasks::TaskKind::kCode) {
      run_code(task, completion->id, std::move(pending));
    } else {
      score(std::move(pending));
    }
  }

  void run_code(const tasks::Task& task, uint64_t id, Pending pending) {
    FATHOM_CHECK(inputs_.code != nullptr, "{} runs code", task.name);
    inputs_.code->submit(code_job(task, *pending.sample, pending.response.text, id));
    running_.emplace(id, std::move(pending));
  }

  void take_verdicts(CodeExecution::Wait wait) {
    if (inputs_.code == nullptr) return;
    while (!running_.empty()) {
      std::optional<CodeOutcome> outcome = inputs_.code->next(wait);
      if (!outcome) return;
      auto node = running_.extract(outcome->id);
      FATHOM_CHECK(!node.empty(), "verdict of unknown program {}", outcome->id);
      Pending pending = std::move(node.mapped());
      pending.response.verdict = outcome->verdict;
      pending.record.verdicts = std::move(outcome->attempts);
      score(std::move(pending));
      batch_.commit_if_due();
      report();
      if (stopped()) return;
    }
  }

  void score(Pending pending) {
    const tasks::Task& task = *inputs_.tasks[pending.task].task;
    add_scores(scorers::score_sample(task, *pending.sample, pending.response), pending.record);
    finish(std::move(pending.record));
  }

  void finish(results::SampleRecord record) {
    if (is_unscored(record)) ++counts_.n_errors;
    ++n_finished_;
    recorder_.add_finished(1);
    batch_.add(std::move(record));
  }

  void report() {
    counts_.n_samples = batch_.n_committed();
    progress_.update(n_finished_, counts_.n_errors == 0 ? "" : fmt::format("{} errors", counts_.n_errors));
  }

  const LoopInputs& inputs_;
  const NextItem& next_item_;
  LoopCounts& counts_;
  ThroughputRecorder recorder_;
  Batch batch_;
  Progress progress_;
  Clock::time_point start_;
  std::unordered_map<uint64_t, Pending> computing_;
  std::unordered_map<uint64_t, Pending> running_;
  uint64_t next_id_ = 1;
  int64_t n_finished_ = 0;
  bool feed_ended_ = false;
};

}  // namespace

LoopEnd run_loop(const LoopInputs& inputs, const NextItem& next_item, LoopCounts& counts) {
  return Loop(inputs, next_item, counts).run();
}

}  // namespace fathom::harness
