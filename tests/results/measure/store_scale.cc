// Sizes and query times of a database with a million choice samples: 71 runs of MMLU's 14,042 questions, one
// score each, prompts of 3.3 KB stored once. Written by the store itself; prints a table.
//
//   store_scale FOLDER [RUNS]
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "results/aggregate.h"
#include "results/runs.h"
#include "results/samples.h"
#include "results/schema.h"
#include "results/store.h"
#include "results/throughput.h"

namespace fathom::results {
namespace {

constexpr int kSubjects = 57;
constexpr int64_t kQuestions = 14042;

// A hash-based draw in [0, 1): the same database every time.
double draw(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9e3779b97f4a7c15 + b * 0xbf58476d1ce4e5b9 + 0x94d049bb133111eb;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return static_cast<double>((x ^ (x >> 31)) >> 11) * 0x1.0p-53;
}

std::string prompt_text(int subject, size_t doc) {
  static const char* const kWords[] = {"the",       "cell",   "of",     "a",  "which",
                                       "following", "energy", "states", "is", "not"};
  std::string text = fmt::format("Questions about subject {}, number {}.\n\n", subject, doc);
  for (uint64_t i = 0; text.size() < 3300; ++i) {
    text += kWords[static_cast<size_t>(draw(static_cast<uint64_t>(subject) * 100000 + doc, i) * 10)];
    text += ' ';
  }
  return text;
}

RunRecord plan() {
  RunRecord run{.checkpoint = {.model = "scale",
                               .path = "/models/scale",
                               .arch = "deepseek_v2",
                               .dtype = "bf16",
                               .config_json = "{}",
                               .weights = {{.path = "w", .size_bytes = 1}}},
                .bos = "on",
                .parameters_json = "{}",
                .numerics_json = "{}",
                .options_json = "[]",
                .machine_json = "{}"};
  for (int subject = 0; subject < kSubjects; ++subject) {
    const std::string name = fmt::format("mmlu_subject_{}", subject);
    const int64_t n = kQuestions / kSubjects + (subject < kQuestions % kSubjects ? 1 : 0);
    TaskRecord task{.name = name,
                    .version = "1",
                    .kind = "choice",
                    .n_shot = 5,
                    .spec_json = "{}",
                    .groups = {"mmlu"},
                    .dataset = {.sha256 = sha256(name), .name = name, .split = "test", .n_rows = n},
                    .scorings = {{.metric = "acc", .headline = true}}};
    for (int64_t i = 0; i < n; ++i) {
      task.docs.push_back({.ordinal = i,
                           .key = std::to_string(i),
                           .sha256 = sha256(fmt::format("{} {}", name, i)),
                           .target = std::string(1, static_cast<char>('A' + i % 4))});
    }
    run.tasks.push_back(std::move(task));
  }
  return run;
}

// The prompts of every run, by task and document: made once, so that writing is what takes the time.
std::vector<std::vector<PromptRecord>> all_prompts(const RunRecord& run) {
  std::vector<std::vector<PromptRecord>> prompts(run.tasks.size());
  for (size_t task = 0; task < prompts.size(); ++task) {
    for (size_t doc = 0; doc < run.tasks[task].docs.size(); ++doc) {
      const std::string text = prompt_text(static_cast<int>(task), doc);
      prompts[task].push_back(
          {.ids_sha256 = sha256("ids " + text), .text_sha256 = sha256(text), .n_tokens = 700, .text = text});
    }
  }
  return prompts;
}

SampleRecord sample(uint64_t run, size_t task, size_t doc, const PromptRecord& prompt) {
  const uint64_t item = task * 1000 + doc;
  SampleRecord s{
      .task = task, .doc = doc, .n_prompt = 700, .n_cached = 640, .gold = static_cast<int64_t>(doc % 4)};
  s.prompt = prompt;
  size_t best = 0;
  for (uint64_t c = 0; c < 4; ++c) {
    s.choice_logprobs.push_back(-4.0 * draw(run * 7 + c, item) - (c == doc % 4 ? 0.0 : 0.8));
    if (s.choice_logprobs[c] > s.choice_logprobs[best]) best = c;
  }
  s.choice_greedy = {best == 0, best == 1, best == 2, best == 3};
  s.scores = {{.scoring = 0,
               .value = best == doc % 4 ? 1.0 : 0.0,
               .answer = std::string(1, static_cast<char>('A' + best))}};
  s.queue_us = 1000 + static_cast<int64_t>(1e5 * draw(run, item));
  s.first_token_us = *s.queue_us + 20000;
  s.total_us = *s.queue_us + 21000;
  return s;
}

void add_hour_of_ticks(Store& store) {
  for (int64_t second = 0; second < 3600; ++second) {
    PerfTick tick{.t_us = second * 1'000'000,
                  .dt_us = 1'000'000,
                  .n_samples = 4,
                  .prefill_tokens = 2800,
                  .rss_bytes = 1 << 30};
    for (uint64_t i = 0; i < 4; ++i) {
      tick.first_token.add(static_cast<int64_t>(1e5 * draw(i, static_cast<uint64_t>(second))));
    }
    store.add_tick(tick);
  }
}

void fill(const std::filesystem::path& path, uint64_t n_runs) {
  Store store = Store::open_for_writing(path, "measure");
  const RunRecord run = plan();
  const auto prompts = all_prompts(run);
  for (uint64_t r = 0; r < n_runs; ++r) {
    store.begin_run(run, Start::kFresh);
    std::vector<SampleRecord> batch;
    for (size_t task = 0; task < run.tasks.size(); ++task) {
      for (size_t doc = 0; doc < run.tasks[task].docs.size(); ++doc) {
        batch.push_back(sample(r, task, doc, prompts[task][doc]));
        if (batch.size() < 64) continue;
        store.commit_samples(batch);
        batch.clear();
      }
    }
    store.commit_samples(batch);
    if (r + 1 == n_runs) add_hour_of_ticks(store);
    store.set_checkpoint_files({{.path = "w", .size_bytes = 1}});
    store.finish_run(RunStatus::kComplete);
  }
}

void print_sizes(const Database& database) {
  Statement rows = database.prepare(
      "SELECT name, sum(pgsize), sum(payload) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 12");
  while (rows.step())
    fmt::print("  {:<36} {:>8.1f} MB\n", rows.text(0), static_cast<double>(rows.integer(1)) / 1e6);
}

double milliseconds(const std::function<void()>& action) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    action();
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count());
  }
  return best;
}

void print_times(const std::filesystem::path& path) {
  const Database database = open_for_reading(path);
  const int64_t last = find_run(database, "latest");
  const std::pair<const char*, std::function<void()>> queries[] = {
      {"list runs", [&] { list_runs(database); }},
      {"show: run, stored metrics",
       [&] {
         run_info(database, last);
         load_metrics(database, last);
       }},
      {"show: throughput of a run of an hour", [&] { run_throughput(database, last); }},
      {"show: flag rates of 57 tasks", [&] { task_rates(database, last); }},
      {"metrics of a run computed from its scores", [&] { compute_metrics(database, last); }},
      {"all samples of a run with scores",
       [&] { for_each_sample(database, last, "", [](const StoredSample&) {}); }},
  };
  for (const auto& [name, query] : queries) fmt::print("  {:<44} {:>8.1f} ms\n", name, milliseconds(query));
}

int run_main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: store_scale FOLDER [RUNS]\n");
    return kExitUsage;
  }
  const std::filesystem::path path = std::filesystem::path(argv[1]) / "scale.db";
  const auto start = std::chrono::steady_clock::now();
  fill(path, argc > 2 ? std::stoull(argv[2]) : 71);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const Database database = open_for_reading(path);
  const int64_t n = database.query_int("SELECT count(*) FROM sample");
  const auto size = std::filesystem::file_size(path);
  fmt::print("{} samples written in {:.1f} s ({:.0f} samples/s, committed by 64)\n{}: {:.1f} MB\n", n,
             elapsed.count(), static_cast<double>(n) / elapsed.count(), path.filename().string(),
             static_cast<double>(size) / 1e6);
  print_sizes(database);
  print_times(path);
  return 0;
}

}  // namespace
}  // namespace fathom::results

int main(int argc, char** argv) {
  return fathom::results::run_main(argc, argv);
}
