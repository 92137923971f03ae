// False-alarm rate and power of the shipped gate by simulation: prints the tables of docs/statistics.md.
// Every trial draws two runs and calls results::judge() with the default policy unless the row says
// otherwise.
//
//   gate_error_rates [TRIALS]
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "results/judging/gate.h"
#include "results/statistics/counter_random.h"
#include "results/statistics/distributions.h"
#include "tests/results/example_pair.h"

namespace fathom::results {
namespace {

// How the scores of one task change. `lost` and `won` are chances of a document to be right in one run only.
struct Change {
  double lost = 0.0;
  double won = 0.0;
};

Change flips(double flipped, double effect) {
  return {.lost = (flipped - effect) / 2, .won = (flipped + effect) / 2};
}

constexpr double kBothRight = 0.6;  // of the documents that do not flip

void draw_scores(PairedSeries& series, const Change& change, uint64_t seed, uint64_t& counter) {
  for (size_t i = 0; i < series.base.size(); ++i) {
    const double u = random_unit(seed, counter++);
    const double v = random_unit(seed, counter++) < kBothRight ? 1.0 : 0.0;
    series.base[i] = u < change.lost ? 1.0 : u < change.lost + change.won ? 0.0 : v;
    series.cand[i] = u < change.lost ? 0.0 : u < change.lost + change.won ? 1.0 : v;
  }
}

// Log-probabilities whose differences have this mean and standard deviation and heavy tails (a scaled sum of
// a normal and, one time in ten, another that is five times as wide).
void draw_logprobs(PairedSeries& series, double shift, double sd, uint64_t seed, uint64_t& counter) {
  constexpr double kScale = 1.8439088914585775;  // sqrt(0.9 + 0.1 * 25)
  for (size_t i = 0; i < series.base.size(); ++i) {
    const double wide = random_unit(seed, counter++) < 0.1 ? 5.0 : 1.0;
    const double z = normal_quantile(random_unit(seed, counter++) * (1 - 0x1.0p-40) + 0x1.0p-41);
    series.base[i] = -1.0;
    series.cand[i] = -1.0 + shift + sd * wide * z / kScale;
  }
}

// The verdicts of many trials.
struct Rates {
  std::array<int, 5> n{};
  int trials = 0;

  void add(Verdict verdict) {
    ++n[static_cast<size_t>(verdict)];
    ++trials;
  }
  double percent(Verdict verdict) const { return 100.0 * n[static_cast<size_t>(verdict)] / trials; }
};

template <typename Draw>
void print_row(const std::string& name, PairedRuns runs, const Policy& policy, int trials, const Draw& draw) {
  Rates rates;
  for (int trial = 0; trial < trials; ++trial) {
    uint64_t counter = 0;
    for (size_t k = 0; k < runs.tasks.size(); ++k) {
      draw(runs.tasks[k], k, static_cast<uint64_t>(trial) * 1'000'003 + 29, counter);
    }
    rates.add(judge(runs, policy).verdict);
  }
  fmt::print("{:<62} {:>7} {:>9.2f} % {:>9.2f} % {:>9.2f} %\n", name, trials,
             rates.percent(Verdict::kRegressed), rates.percent(Verdict::kInconclusive),
             rates.percent(Verdict::kPass));
  std::fflush(stdout);
}

PairedRuns exam() {
  std::vector<PairedTask> tasks;
  for (int k = 0; k < 57; ++k) {
    tasks.push_back(example_paired_task(fmt::format("subject_{}", k), 100 + 5 * k, 0, 0, 0, {"exam"}));
  }
  return example_pair(std::move(tasks));
}

PairedRuns single(int64_t n) {
  return example_pair({example_paired_task("task", n, 0, 0)});
}

void print_exam(const std::string& name, double flipped, double effect, double effect_on_first, int trials) {
  print_row(name, exam(), {}, trials, [&](PairedTask& task, size_t k, uint64_t seed, uint64_t& counter) {
    const bool hit = k == 0 && effect_on_first != 0.0;
    draw_scores(task.series[0],
                hit ? flips(std::max(flipped, -effect_on_first), effect_on_first) : flips(flipped, effect),
                seed, counter);
  });
}

void print_single(int64_t n, double flipped, double effect, double margin, int trials) {
  Policy policy;
  policy.margin = margin;
  print_row(fmt::format("one task of {}, {:g} % flip, {:+g} pp, margin {:g} pp", n, 100 * flipped,
                        100 * effect, 100 * margin),
            single(n), policy, trials, [&](PairedTask& task, size_t, uint64_t seed, uint64_t& counter) {
              draw_scores(task.series[0], flips(flipped, effect), seed, counter);
            });
}

void print_logprob(int64_t n, double sd, double shift, double margin, int trials) {
  PairedRuns runs = single(n);
  add_gold_logprobs(runs.tasks[0], std::vector<double>(static_cast<size_t>(n)),
                    std::vector<double>(static_cast<size_t>(n)));
  Policy policy;
  policy.primary = {{{.scope = "task:task", .metric = kGoldLogprob, .margin = margin}}};
  print_row(fmt::format("log p over {}, SD {:g}, {:+g} nats, margin {:g}", n, sd, shift, margin),
            std::move(runs), policy, trials, [&](PairedTask& task, size_t, uint64_t seed, uint64_t& counter) {
              draw_logprobs(task.series[1], shift, sd, seed, counter);
            });
}

void print_head(const char* title) {
  fmt::print("\n{:<62} {:>7} {:>11} {:>11} {:>11}\n", title, "trials", "regressed", "inconcl.", "pass");
}

void print_tables(int trials) {
  print_head("nothing changed: every \"regressed\" is a false alarm");
  for (double flipped : {0.02, 0.05, 0.10, 0.20}) {
    print_exam(fmt::format("57 subjects, 13,680 questions, {:g} % flip", 100 * flipped), flipped, 0.0, 0.0,
               trials);
  }
  for (int64_t n : {164, 1319}) {
    for (double flipped : {0.05, 0.10, 0.20}) print_single(n, flipped, 0.0, 0.01, 5 * trials);
  }
  print_logprob(164, 0.3, 0.0, 0.05, 5 * trials);
  print_logprob(1319, 0.3, 0.0, 0.05, 5 * trials);

  print_head("something is worse: \"regressed\" is power");
  for (double effect : {-0.005, -0.01, -0.02}) {
    print_exam(fmt::format("57 subjects, 10 % flip, all {:+g} pp", 100 * effect), 0.10, effect, 0.0, trials);
  }
  for (double effect : {-0.10, -0.15, -0.20, -0.30}) {
    print_exam(fmt::format("57 subjects, 10 % flip, the one of 100 {:+g} pp", 100 * effect), 0.10, 0.0,
               effect, trials);
  }
  for (double effect : {-0.02, -0.03, -0.05}) print_single(1319, 0.10, effect, 0.01, 5 * trials);
  for (double effect : {-0.05, -0.10}) print_single(164, 0.10, effect, 0.01, 5 * trials);
  for (double shift : {-0.02, -0.05, -0.10}) print_logprob(164, 0.3, shift, 0.05, 5 * trials);

  print_head("exactly as bad as the margin: \"pass\" is the error");
  print_single(14'042, 0.10, -0.01, 0.01, trials);
  print_single(1319, 0.10, -0.03, 0.03, 5 * trials);
  print_logprob(1319, 0.3, -0.05, 0.05, 5 * trials);
}

}  // namespace
}  // namespace fathom::results

int main(int argc, char** argv) {
  fathom::results::print_tables(argc > 1 ? std::stoi(argv[1]) : 2000);
  return 0;
}
