#include "tests/e2e/kill_experiment.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "results/aggregate.h"
#include "results/check.h"
#include "results/samples.h"
#include "results/schema.h"
#include "tests/e2e/child_process.h"
#include "tests/e2e/small_run.h"

namespace fathom::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Whole lines of a file that may be absent; a line that a kill cut short acknowledges nothing.
std::vector<int64_t> acknowledged_in(const fs::path& file) {
  std::vector<int64_t> docs;
  if (!fs::exists(file)) return docs;
  const std::string text = read_file(file);
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    docs.push_back(json::parse(text.substr(begin, end - begin)).at("doc_id").get<int64_t>());
  }
  return docs;
}

// All that a result consists of: choices' log-probabilities to the last bit, scores, metrics.
struct Numbers {
  std::vector<std::string> samples;
  std::vector<std::string> metrics;
  bool operator==(const Numbers&) const = default;
};

Numbers numbers_of(const results::Database& database) {
  Numbers numbers;
  results::for_each_sample(database, 1, "", [&](const results::StoredSample& sample) {
    std::string text = fmt::format("{} {} {}", sample.ordinal, sample.rep, to_hex(sample.ids_sha256));
    for (double logprob : sample.choice_logprobs) text += fmt::format(" {:a}", logprob);
    for (const results::StoredScore& score : sample.scores)
      text += fmt::format(" {} {}", score.metric, score.value.value_or(-1));
    numbers.samples.push_back(text);
  });
  for (const results::MetricRecord& m : results::load_metrics(database, 1)) {
    numbers.metrics.push_back(fmt::format("{} {} {:a} {:a} {:a} {:a} {}", m.scope, m.name,
                                          m.value.value_or(-1), m.se.value_or(-1), m.ci_low.value_or(-1),
                                          m.ci_high.value_or(-1), m.n));
  }
  return numbers;
}

class Experiment {
 public:
  Experiment(fs::path folder, const KillOptions& options)
      : folder_(std::move(folder)), options_(options), random_(options.seed) {
    write_small_run(folder_, options.n_questions);
  }

  KillCounts run() {
    if (!finish("undisturbed.db")) return counts_;
    while (counts_.n_kills < options_.n_kills && counts_.problem.empty()) {
      // Moments are random in samples and not in seconds, so that a busy machine gets as far as an idle one.
      // Most of what is left to ask is spread over the kills that are left: the run must not end before them.
      const double n_left =
          static_cast<double>(options_.n_questions) - static_cast<double>(acknowledged_.size());
      const double most = 1.4 * n_left / (options_.n_kills - counts_.n_kills);
      if (!kill_once(static_cast<size_t>(std::uniform_real_distribution<double>(0.0, most)(random_)))) break;
    }
    if (counts_.problem.empty() && finish("killed.db")) compare();
    return counts_;
  }

 private:
  fs::path log_of(int attempt) const { return folder_ / fmt::format("committed-{}.jsonl", attempt); }

  // Kills an attempt at a random moment: in its first 300 ms, loading among them, when `n_samples` is 0;
  // otherwise up to 30 ms after it acknowledged that many. False when the run came to its end before.
  bool kill_once(size_t n_samples) {
    const int attempt = ++n_attempts_;
    ChildProcess child(small_run_args(folder_, "killed.db", {"--committed", log_of(attempt).string()}),
                       folder_, folder_ / "out", folder_ / "err");
    std::optional<ProcessEnd> end;
    while (!end && acknowledged_in(log_of(attempt)).size() < n_samples) {
      end = child.wait_for(std::chrono::milliseconds(1));
    }
    const int within_us = n_samples == 0 ? 300'000 : 30'000;
    const std::chrono::microseconds after(std::uniform_int_distribution<int>(0, within_us)(random_));
    if (!end) end = child.wait_for(after);
    if (end && end->exit_code != kExitDone)
      problem("an attempt ended with an error: " + read_file(folder_ / "err"));
    if (!end) {
      child.send(SIGKILL);
      child.wait();
      ++counts_.n_kills;
    }
    take_acknowledged(attempt);
    if (!end && !acknowledged_in(log_of(attempt)).empty()) ++counts_.n_kills_with_samples;
    return !end;
  }

  void take_acknowledged(int attempt) {
    for (int64_t doc : acknowledged_in(log_of(attempt))) {
      ++counts_.n_acknowledged;
      if (!acknowledged_.insert(doc).second) ++counts_.n_twice;
    }
  }

  bool finish(const std::string& db) {
    const int attempt = ++n_attempts_;
    const bool counted = db == "killed.db";
    std::vector<std::string> more;
    if (counted) more = {"--committed", log_of(attempt).string()};
    ChildProcess child(small_run_args(folder_, db, more), folder_, folder_ / "out", folder_ / "err");
    const ProcessEnd end = child.wait();
    if (end.exit_code != kExitDone) problem("a run did not finish: " + read_file(folder_ / "err"));
    if (counted) take_acknowledged(attempt);
    return end.exit_code == kExitDone;
  }

  void compare() {
    const results::Database killed = results::open_for_reading(folder_ / "killed.db");
    const results::Database undisturbed = results::open_for_reading(folder_ / "undisturbed.db");
    std::set<int64_t> stored;
    results::for_each_sample(killed, 1, "", [&](const results::StoredSample& sample) {
      ++counts_.n_stored;
      if (!stored.insert(sample.ordinal).second) ++counts_.n_twice;
    });
    for (int64_t doc : acknowledged_) counts_.n_lost += stored.contains(doc) ? 0 : 1;
    counts_.numbers_equal = numbers_of(killed) == numbers_of(undisturbed);
    const results::CheckReport report = results::check_database(killed);
    counts_.sound = report.problems.empty();
    if (!counts_.sound) problem(report.problems.front());
  }

  void problem(const std::string& text) {
    if (counts_.problem.empty()) counts_.problem = text;
  }

  fs::path folder_;
  KillOptions options_;
  std::mt19937_64 random_;
  KillCounts counts_;
  std::set<int64_t> acknowledged_;
  int n_attempts_ = 0;
};

}  // namespace

KillCounts kill_experiment(const fs::path& folder, const KillOptions& options) {
  return Experiment(folder, options).run();
}

}  // namespace fathom::testing
