// One cell: a runner zygote, a judge zygote and the sample between them.
//
// A cell is started, proves its layers (preflight) and then runs one sample at a time: order to both zygotes,
// watch clocks and output, collect the verdict and both ends. The runner's process ends with its sample. The
// judge's may stay for the next one (python/judge.py decides); the order then goes to it and not to its
// zygote. A cell belongs to the supervisor's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "scorers/sandbox/cell_plan.h"
#include "scorers/sandbox/event_loop.h"
#include "scorers/sandbox/evidence.h"
#include "scorers/sandbox/job.h"
#include "scorers/sandbox/zygote.h"

namespace fathom::sandbox {

using Clock = std::chrono::steady_clock;

class Cell;

/// What a cell tells its owner. Called from inside the event loop; the owner may call the cell back.
class CellOwner {
 public:
  virtual ~CellOwner() = default;
  virtual void cell_ready(Cell& cell) = 0;
  /// The cell could not be started or a layer did not hold.
  virtual void cell_failed(Cell& cell, const SetupFailure& failure) = 0;

  struct Finished {
    Evidence evidence;
    double started_at_load = 0;
    int64_t output_bytes = 0;
    std::string standard_output;
    std::string standard_error;
    double runner_cpu_ms = 0;
  };
  /// The sample is over. `usable`: the cell can run the next one.
  virtual void cell_finished(Cell& cell, Finished finished, bool usable) = 0;
};

class Cell {
 public:
  Cell(int index, const CellPlan& plan, EventLoop& loop, CellOwner& owner);
  ~Cell();
  Cell(const Cell&) = delete;
  Cell& operator=(const Cell&) = delete;

  int index() const { return index_; }
  bool idle() const { return state_ == State::kIdle; }
  bool busy() const { return state_ == State::kBusy; }

  /// Starts both zygotes; ends in cell_ready or cell_failed.
  void start();
  /// Runs a sample in an idle cell under `limits`; ends in cell_finished. `job` must live until then.
  void run(const Job& job, const Limits& limits);

  /// When tick() should be called next; nothing while nothing is limited.
  std::optional<Clock::time_point> next_tick() const { return next_tick_; }
  void tick(Clock::time_point now);

 private:
  enum class State { kStopped, kStarting, kProbing, kIdle, kBusy };

  // One of the two processes of a sample.
  struct Side {
    std::unique_ptr<Zygote> zygote;
    bool ready = false;
    FileDescriptor child;  // pidfd
    bool child_exited = false;
    bool killed = false;  // by us, before it exited
    std::optional<clockid_t> clock;
    pid_t child_pid = 0;
    Report exit;  // or that the child is done with the sample
    // Of a judge's process that stays for the next sample.
    FileDescriptor orders;
    bool served = false;
    double earlier_cpu_ms = 0;   // for earlier samples
    int64_t n_memory_kills = 0;  // of its group, up to the sample before

    bool over() const { return child_exited || served; }
    double exit_cpu_ms() const {
      return static_cast<double>(exit.user_us + exit.system_us) / 1e3 - earlier_cpu_ms;
    }
  };
  struct Sample;

  void stop();
  void on_report(Side& side);
  void on_zygote_gone(Side& side);
  void fail(const SetupFailure& failure);
  void start_probe();
  void finish_probe();
  bool order_judge(Order order, const Job& job, std::span<const int> fds);
  void on_served();
  void end_child(Side& side);
  void keep_judge();
  void read_verdict();
  void read_output(int stream);
  void stop_sample(StoppedBy reason);
  void kill_child(Side& side);
  void finish_if_over();
  void finish();
  bool memory_killed();
  double cpu_ms(Side& side);
  bool sleeping(const Side& side) const;

  const int index_;
  const CellPlan& plan_;
  EventLoop& loop_;
  CellOwner& owner_;
  State state_ = State::kStopped;
  Side runner_;
  Side judge_;
  std::unique_ptr<Sample> sample_;
  std::optional<Clock::time_point> next_tick_;
};

}  // namespace fathom::sandbox
