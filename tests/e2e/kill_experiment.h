// One run of fathom, killed with SIGKILL at random moments until it has been killed often enough, then left
// to finish; and the same run undisturbed. Counts what was lost.
//
// A sample is acknowledged once its line is in the file of --committed, which is written after COMMIT.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace fathom::testing {

struct KillOptions {
  int n_questions = 0;
  int n_kills = 0;
  uint64_t seed = 1;
};

struct KillCounts {
  int n_kills = 0;
  int n_kills_with_samples = 0;  ///< after the attempt had acknowledged some of its samples
  int64_t n_acknowledged = 0;    ///< lines in all
  int64_t n_lost = 0;   ///< acknowledged and not in the store when the next attempt had ended, or at the end
  int64_t n_twice = 0;  ///< acknowledged by two attempts, or stored twice
  int64_t n_stored = 0;
  bool numbers_equal =
      false;            ///< every sample's answer and every metric, bit for bit, as in the undisturbed run
  bool sound = false;   ///< check_database after the last attempt
  std::string problem;  ///< first thing that went otherwise than planned; empty for none
};

KillCounts kill_experiment(const std::filesystem::path& folder, const KillOptions& options);

}  // namespace fathom::testing
