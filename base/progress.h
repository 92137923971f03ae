// A progress line for long work: done/total, rate and time left.
//
// On a terminal one line is redrawn at most five times a second; elsewhere (a log file) a full line is
// printed at most every 30 seconds, so that logs stay short. Writes to standard error only, so that results
// on standard output stay clean. Not thread-safe: one thread reports.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace fathom {

class Progress {
 public:
  /// `what` names the work ("mmlu"), `unit` its items ("questions").
  Progress(std::string what, std::string unit, int64_t total);
  /// Ends the line if one is on the screen.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` items of the total are finished; `note` (may be empty) is shown at the end of the line.
  void update(int64_t done, const std::string& note = {});

 private:
  std::string line(int64_t done, double elapsed_s, const std::string& note) const;

  std::string what_;
  std::string unit_;
  int64_t total_;
  bool terminal_;
  bool drawn_ = false;
  bool ended_ = false;  ///< the last item was reported; later updates are repeats
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

/// "7.3 s", "42 s", "3 min 20 s", "2 h 05 min".
std::string format_duration(double seconds);

}  // namespace fathom
