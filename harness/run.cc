#include "harness/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "base/json_lines.h"
#include "base/progress.h"
#include "harness/args.h"
#include "harness/interrupt.h"
#include "harness/open_tasks.h"
#include "harness/run_loop.h"
#include "harness/run_record.h"
#include "harness/run_report.h"
#include "harness/sandbox_execution.h"
#include "harness/version.h"
#include "results/file_hasher.h"
#include "results/local_copy.h"
#include "results/runs.h"
#include "results/store.h"

namespace fathom::harness {
namespace {

bool runs_code(const tasks::Selection& selection) {
  return std::any_of(selection.tasks.begin(), selection.tasks.end(),
                     [](const tasks::Task* task) { return task->kind == tasks::TaskKind::kCode; });
}

// The sandbox is started before the model is mapped: its processes are then small, and a machine that cannot
// confine a program says so before hours of computing.
std::unique_ptr<CodeExecution> start_sandbox(const RunPlan& plan, tasks::Selection& selection) {
  if (!runs_code(selection)) return nullptr;
  try {
    return start_sandbox_execution(plan.sandbox);
  } catch (const Error& error) {
    if (!plan.skip_unavailable || error.kind() != ErrorKind::kEnvironment) throw;
    fmt::print(stderr, "fathom: warning: {}\n", error.what());
  }
  std::erase_if(selection.tasks, [](const tasks::Task* task) {
    const bool code = task->kind == tasks::TaskKind::kCode;
    if (code) fmt::print(stderr, "fathom: warning: {} left out (--skip-unavailable)\n", task->name);
    return code;
  });
  if (selection.tasks.empty()) {
    throw Error(ErrorKind::kEnvironment, "every task asked for runs code, and the sandbox is not available");
  }
  return nullptr;
}

// What the store has already, as a set to look up.
using DoneSet = std::set<std::tuple<size_t, size_t, int64_t>>;

DoneSet done_set(const results::StartedRun& started) {
  DoneSet done;
  for (const results::SamplePlace& sample : started.stored) done.emplace(sample.task, sample.doc, sample.rep);
  return done;
}

void print_end_line(const LoopCounts& counts) {
  const double seconds = std::max(counts.elapsed_s, 1e-9);
  const int64_t computed = counts.prompt_tokens - counts.cached_tokens + counts.output_tokens;
  fmt::print(
      stderr,
      "{} samples in {}: {:.1f} samples/s, {:.0f} tokens/s ({} prompt tokens, {} from cache, {} generated)\n",
      counts.n_samples, format_duration(counts.elapsed_s), static_cast<double>(counts.n_samples) / seconds,
      static_cast<double>(computed) / seconds, counts.prompt_tokens, counts.cached_tokens,
      counts.output_tokens);
}

RequestBuilder make_builder(const RunPlan& plan, const LoadedEngine& model) {
  return RequestBuilder(*model.tokenizer, {.bos = plan.bos,
                                           .special = engine::SpecialTokens::kParse,
                                           .truncate = plan.truncate,
                                           .max_tokens = model.engine->max_tokens()});
}

// Where hashes of weight files are remembered; nowhere without a home folder.
std::filesystem::path hash_cache() {
  const std::filesystem::path folder = user_cache_folder();
  return folder.empty() ? folder : folder / "file-hashes";
}

// Waits for the hashes of the weights. A signal ends the wait: with hundreds of gigabytes it can be a long
// one.
bool wait_for_hashes(const results::FileHasher& hasher, const std::atomic<int>& stop) {
  constexpr int64_t kMebibyte = 1 << 20;
  Progress progress("hashing the weights", "MiB", hasher.bytes_total() / kMebibyte);
  while (!hasher.done() && stop == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    progress.update(hasher.bytes_hashed() / kMebibyte);
  }
  return stop == 0;
}

// Writes a line for each sample that was committed.
class CommittedLog {
 public:
  CommittedLog(const std::filesystem::path& path, std::span<const OpenTask> tasks)
      : writer_(path), tasks_(tasks) {}

  void write(std::span<const results::SampleRecord> samples) {
    for (const results::SampleRecord& sample : samples) {
      const OpenTask& open = tasks_[sample.task];
      writer_.write({{"task", open.task->name},
                     {"doc_id", open.documents.samples[sample.doc].doc_id},
                     {"rep", sample.rep},
                     {"status", sample.status == results::SampleStatus::kAnswered ? "answered" : "error"}});
    }
  }

 private:
  JsonLinesWriter writer_;
  std::span<const OpenTask> tasks_;
};

// The run did not get to its end; what is stored says why. A database that cannot even take that (a full
// disk) has its own error thrown already, and the next writer marks the run.
void store_failure(results::Store& store, const std::string& why) {
  try {
    store.finish_run(results::RunStatus::kFailed, why);
  } catch (const Error& error) {
    fmt::print(stderr, "fathom: warning: the end of the run could not be stored: {}\n", error.what());
  }
}

// Computes what is missing and stores it; the run's status in the store says how it ended.
int compute(const RunPlan& plan, std::span<const OpenTask> open, const LoadedEngine& model,
            CodeExecution* code, results::Store& store, results::FileHasher& hasher,
            const results::StartedRun& started) {
  InterruptGuard interrupt;
  LoopCounts counts;
  LoopEnd end = LoopEnd::kFinished;
  std::optional<CommittedLog> committed;
  if (!plan.committed.empty()) committed.emplace(plan.committed, open);
  try {
    const DoneSet done = done_set(started);
    WorkFeed feed(open, make_builder(plan, model),
                  [&done](size_t task, size_t doc, int64_t rep) { return done.contains({task, doc, rep}); });
    end = run_loop(
        {.tasks = open,
         .engine = model.engine.get(),
         .code = code,
         .store = &store,
         .seed = plan.seed,
         .progress_name =
             plan.name.empty() ? fmt::format("{}", fmt::join(plan.asking.tasks, " ")) : plan.name,
         .n_already_stored = static_cast<int64_t>(done.size()),
         .on_committed =
             [&committed](std::span<const results::SampleRecord> samples) {
               if (committed) committed->write(samples);
             },
         .stop = &interrupt.signal()},
        [&feed] { return feed.next(); }, counts);
    if (end == LoopEnd::kFinished && !wait_for_hashes(hasher, interrupt.signal()))
      end = LoopEnd::kInterrupted;
    if (end == LoopEnd::kFinished) store.set_checkpoint_files(hasher.finish());
  } catch (const std::exception& error) {
    store_failure(store, error.what());
    throw;
  }
  print_end_line(counts);
  if (end == LoopEnd::kInterrupted) {
    store.finish_run(results::RunStatus::kInterrupted,
                     interrupt.exit_code() == kExitTerminated ? "SIGTERM" : "SIGINT");
    fmt::print(stderr, "run {} interrupted; the same command goes on where it stopped\n", started.run_id);
    return interrupt.exit_code();
  }
  store.finish_run(results::RunStatus::kComplete);
  return kExitDone;
}

// The final table, from the store alone.
int report(const RunPlan& plan, results::Store& store, int64_t run_id) {
  fmt::print("{}", run_report(store.database(), run_id));
  if (!plan.output.empty()) {
    write_file_atomically(plan.output, run_report_json(store.database(), run_id).dump(2) + "\n");
  }
  return results::count_unscored(store.database(), run_id) > 0 ? kExitUnscored : kExitDone;
}

// The run with its database at `db`: RunPlan::db or a local copy of it.
int run_in(const RunPlan& plan, const std::filesystem::path& db) {
  tasks::Selection selection = select_tasks(plan.asking);
  const std::unique_ptr<CodeExecution> code = start_sandbox(plan, selection);

  const LoadedEngine model = load_engine(plan.engine, WithTokenizer::kYes);
  const TokenizerCounter counter(*model.tokenizer);
  const std::vector<OpenTask> open = open_tasks(plan, selection, counter);
  print_left_out_pass_at_k(open);

  results::Store store = results::Store::open_for_writing(db, version_number());
  results::RunRecord record = make_run_record({.plan = plan,
                                               .checkpoint = *model.checkpoint,
                                               .tokenizer = *model.tokenizer,
                                               .selection = selection,
                                               .tasks = open,
                                               .numerics_json = model.engine->numerics_json(),
                                               .n_threads = model.engine->n_threads()});
  results::FileHasher hasher(model.checkpoint->model_dir(), record.checkpoint.weights,
                             {.n_threads = 1, .cache = hash_cache(), .rehash = plan.rehash});
  // A stored run of this plan may have had these weights, or others that look the same: only their content
  // tells.
  const bool unsure = !plan.fresh && (plan.rehash ? store.knows_plan(record) : store.needs_hashes(record));
  if (unsure) record.checkpoint.files = hasher.finish();
  const results::StartedRun started =
      store.begin_run(record, plan.fresh ? results::Start::kFresh : results::Start::kResume);
  if (started.complete) {
    fmt::print(stderr, "run {} has answered this already; nothing was computed (--fresh computes anew)\n",
               started.run_id);
    return report(plan, store, started.run_id);
  }
  if (!started.stored.empty()) {
    fmt::print(
        stderr, "run {}: {} samples are in the store already{}\n", started.run_id, started.stored.size(),
        started.n_reused == 0 ? "" : fmt::format(", {} of them computed by other runs", started.n_reused));
  }
  if (code) {
    const CodePolicy policy = code->policy();
    store.add_sandbox_policy(policy.sha256, policy.level, policy.layers_json);
  }
  const int exit_code = compute(plan, open, model, code.get(), store, hasher, started);
  return exit_code == kExitDone ? report(plan, store, started.run_id) : exit_code;
}

}  // namespace

int run(const RunPlan& plan) {
  if (plan.db_local.empty()) return run_in(plan, plan.db);
  results::LocalCopy local(plan.db, plan.db_local, version_number());
  int exit_code = kExitDone;
  try {
    exit_code = run_in(plan, local.path());
  } catch (const Error&) {
    local.copy_back();  // what was answered before the failure is worth as much
    throw;
  }
  local.copy_back();
  return exit_code;
}

}  // namespace fathom::harness
