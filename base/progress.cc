#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

Progress::Progress(std::string what, std::string unit, int64_t total)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputc('\n', stderr);
}

void Progress::update(int64_t done, const std::string& note) {
  const Clock::time_point now = Clock::now();
  const double interval_s = terminal_ ? 0.2 : 30.0;
  if (ended_ || (done < total_ && seconds_between(last_, now) < interval_s)) return;
  ended_ = done >= total_;
  last_ = now;
  const std::string text = line(done, seconds_between(start_, now), note);
  if (terminal_) {
    std::fprintf(stderr, "\r\x1b[K%s", text.c_str());  // return, erase to the end of the line
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

std::string Progress::line(int64_t done, double elapsed_s, const std::string& note) const {
  std::string text = fmt::format("{}: {}/{} {}", what_, done, total_, unit_);
  if (done > 0 && elapsed_s > 0) {
    const double rate = static_cast<double>(done) / elapsed_s;
    text += fmt::format(", {:.{}f}/s", rate, rate < 10 ? 2 : 0);
    text += done < total_
                ? fmt::format(", {} left", format_duration(static_cast<double>(total_ - done) / rate))
                : fmt::format(", {}", format_duration(elapsed_s));
  }
  return note.empty() ? text : text + ", " + note;
}

std::string format_duration(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", std::max(0.0, seconds));
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace fathom
