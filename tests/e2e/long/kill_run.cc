// The kill test at any length: prints its counts; exit code 1 when a sample was lost, stored twice or
// differs.
//
//   kill_run FOLDER [KILLS [QUESTIONS [SEED]]]
#include <fmt/format.h>

#include <string>

#include "tests/e2e/kill_experiment.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: kill_run FOLDER [KILLS [QUESTIONS [SEED]]]\n");
    return 2;
  }
  const int n_kills = argc > 2 ? std::stoi(argv[2]) : 200;
  const int n_questions = argc > 3 ? std::stoi(argv[3]) : 30000;
  const uint64_t seed = argc > 4 ? std::stoull(argv[4]) : 1;
  const fathom::testing::KillCounts c = fathom::testing::kill_experiment(
      argv[1], {.n_questions = n_questions, .n_kills = n_kills, .seed = seed});
  fmt::print(
      "{} kills, {} of them after the attempt had acknowledged samples\n"
      "{} samples acknowledged, {} lost, {} twice, {} stored of {}\n"
      "numbers equal to the undisturbed run: {}; database sound: {}\n",
      c.n_kills, c.n_kills_with_samples, c.n_acknowledged, c.n_lost, c.n_twice, c.n_stored, n_questions,
      c.numbers_equal ? "yes" : "NO", c.sound ? "yes" : "NO");
  if (!c.problem.empty()) fmt::print("problem: {}\n", c.problem);
  const bool good =
      c.problem.empty() && c.n_lost == 0 && c.n_twice == 0 && c.numbers_equal && c.n_stored == n_questions;
  return good ? 0 : 1;
}
