#include "scorers/sandbox/broker.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "scorers/sandbox/bubblewrap.h"
#include "scorers/sandbox/cell.h"
#include "scorers/sandbox/preflight.h"
#include "scorers/sandbox/wire.h"

namespace fathom::sandbox {
namespace {

// So many samples may wait for their second run before new ones are held back for them.
constexpr size_t kMostWaiting = 16;

struct Pending {
  Job job;
  Limits limits;
  std::vector<Attempt> attempts;
};

class Broker : public CellOwner {
 public:
  explicit Broker(int socket) : socket_(socket) {}

  /// Until the harness closes its end.
  void run();

  void cell_ready(Cell& cell) override;
  void cell_failed(Cell& cell, const SetupFailure& failure) override;
  void cell_finished(Cell& cell, Finished finished, bool usable) override;

 private:
  void start(const SandboxOptions& options);
  void start_level(Level level);
  void read_socket();
  void handle(const FrameReader::Frame& frame);
  void dispatch();
  Cell* idle_cell();
  void start_another_cell();
  void run_in(Cell& cell, std::unique_ptr<Pending> pending);
  void finish(std::unique_ptr<Pending> pending, CellOwner::Finished& finished);
  int n_busy() const;
  int timeout_ms() const;
  void send(FrameKind kind, std::string_view payload);
  void flush();
  void refuse(const Error& error);

  FileDescriptor socket_;
  FrameReader reader_;
  std::string outgoing_;
  bool ended_ = false;
  bool refused_ = false;

  EventLoop loop_;
  SandboxOptions options_;
  std::string auto_refusal_;  // why kAuto is past kFull
  Interpreter interpreter_;
  std::unique_ptr<PreflightHost> host_;
  std::unique_ptr<CellPlan> plan_;
  bool started_ = false;
  std::vector<std::unique_ptr<Cell>> cells_;
  std::vector<std::unique_ptr<Pending>> running_;  // by cell
  std::deque<std::unique_ptr<Pending>> waiting_;
  std::deque<std::unique_ptr<Pending>> second_runs_;
  bool alone_ = false;  // a second run is in progress
};

void Broker::run() {
  loop_.watch(socket_.get(), [this] { read_socket(); });
  while (!ended_) {
    loop_.wait(timeout_ms());
    const Clock::time_point now = Clock::now();
    for (size_t i = 0; i < cells_.size() && !ended_; ++i) cells_[i]->tick(now);
    dispatch();
    flush();
  }
  cells_.clear();
}

int Broker::timeout_ms() const {
  std::optional<Clock::time_point> next;
  for (const auto& cell : cells_) {
    if (cell->next_tick() && (!next || *cell->next_tick() < *next)) next = cell->next_tick();
  }
  if (!next) return -1;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*next - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left + 1, 0, 60000));
}

void Broker::read_socket() {
  char buffer[1 << 16];
  const ssize_t n = recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    flush();
    return;
  }
  if (n <= 0) {
    ended_ = true;
    return;
  }
  reader_.append({buffer, static_cast<size_t>(n)});
  while (const auto frame = reader_.next()) handle(*frame);
}

void Broker::handle(const FrameReader::Frame& frame) {
  if (refused_) return;
  if (frame.kind == FrameKind::kOptions) {
    try {
      start(nlohmann::json::parse(frame.payload).get<SandboxOptions>());
    } catch (const Error& error) {
      refuse(error);
    }
    return;
  }
  FATHOM_CHECK(frame.kind == FrameKind::kJob, "frame {}", static_cast<int>(frame.kind));
  auto pending = std::make_unique<Pending>();
  pending->job = unpack_job(frame.payload);
  pending->limits = pending->job.limits.value_or(options_.limits);
  waiting_.push_back(std::move(pending));
}

void Broker::start(const SandboxOptions& options) {
  options_ = options;
  if (options_.n_workers == 0) options_.n_workers = usable_processors();
  interpreter_ = find_interpreter(options_.python);
  host_ = std::make_unique<PreflightHost>();
  start_level(options_.level == Level::kAuto ? Level::kFull : options_.level);
}

void Broker::start_level(Level level) {
  SandboxOptions options = options_;
  options.level = level;
  if (level == Level::kBwrap && find_bubblewrap().empty()) {
    const Error error = environment_error({"bubblewrap", "not installed", 0}, level);
    throw auto_refusal_.empty()
        ? error
        : Error(ErrorKind::kEnvironment, auto_refusal_ + "; " + error.message(), "sandbox");
  }
  cells_.clear();
  running_.clear();
  try {
    plan_ = std::make_unique<CellPlan>(options, interpreter_, host_->witness());
  } catch (const SetupFailure& failure) {
    throw environment_error(failure, level);
  }
  start_another_cell();
}

void Broker::start_another_cell() {
  const int index = static_cast<int>(cells_.size());
  cells_.push_back(std::make_unique<Cell>(index, *plan_, loop_, *this));
  running_.emplace_back();
  cells_.back()->start();
}

void Broker::cell_ready(Cell&) {
  if (started_) return;
  started_ = true;
  send(FrameKind::kStarted,
       plan_->run_record().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Broker::cell_failed(Cell&, const SetupFailure& failure) {
  const Error error = environment_error(failure, plan_->level());
  // Only before the first cell was ready, and only when the user left the choice: a level never changes in a
  // run.
  if (!started_ && options_.level == Level::kAuto && plan_->level() == Level::kFull) {
    auto_refusal_ = error.message();
    try {
      start_level(Level::kBwrap);
    } catch (const Error& second) {
      refuse(second);
    }
    return;
  }
  refuse(auto_refusal_.empty() || started_
             ? error
             : Error(ErrorKind::kEnvironment, auto_refusal_ + "; " + error.message(), "sandbox"));
}

void Broker::refuse(const Error& error) {
  if (refused_) return;
  refused_ = true;
  send(FrameKind::kFailed,
       nlohmann::json{
           {"kind", static_cast<int>(error.kind())}, {"message", error.message()}, {"where", error.where()}}
           .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int Broker::n_busy() const {
  return static_cast<int>(
      std::count_if(cells_.begin(), cells_.end(), [](const auto& cell) { return cell->busy(); }));
}

Cell* Broker::idle_cell() {
  for (const auto& cell : cells_) {
    if (cell->idle()) return cell.get();
  }
  return nullptr;
}

void Broker::dispatch() {
  if (!started_ || refused_ || alone_) return;
  if (!second_runs_.empty() && (waiting_.empty() || second_runs_.size() >= kMostWaiting)) {
    Cell* cell = idle_cell();
    if (cell == nullptr || n_busy() > 0) return;  // alone means alone
    auto pending = std::move(second_runs_.front());
    second_runs_.pop_front();
    alone_ = true;
    run_in(*cell, std::move(pending));
    return;
  }
  while (!waiting_.empty()) {
    Cell* cell = idle_cell();
    if (cell == nullptr) {
      if (static_cast<int>(cells_.size()) < options_.n_workers) start_another_cell();
      return;
    }
    auto pending = std::move(waiting_.front());
    waiting_.pop_front();
    run_in(*cell, std::move(pending));
  }
}

void Broker::run_in(Cell& cell, std::unique_ptr<Pending> pending) {
  auto& slot = running_[static_cast<size_t>(cell.index())];
  slot = std::move(pending);
  cell.run(slot->job, slot->limits);
}

void Broker::cell_finished(Cell& cell, Finished finished, bool usable) {
  alone_ = false;
  auto pending = std::move(running_[static_cast<size_t>(cell.index())]);
  const Decision decision = decide(finished.evidence, pending->limits, options_.timing);
  Attempt attempt;
  attempt.verdict = decision.verdict;
  attempt.detail = decision.detail;
  attempt.signal = decision.signal;
  attempt.wall_ms = finished.evidence.wall_ms;
  attempt.cpu_ms = finished.evidence.cpu_ms;
  attempt.runner_cpu_ms = finished.runner_cpu_ms;
  attempt.peak_rss_mb = finished.evidence.peak_rss_mb;
  if (const auto& judge = finished.evidence.judge) {
    attempt.calls = judge->calls;
    attempt.judge_turn = judge->turn;
    attempt.tests_compiled = judge->compiled;
  }
  attempt.load = finished.started_at_load;
  attempt.cell = cell.index();
  pending->attempts.push_back(std::move(attempt));
  const bool first = pending->attempts.size() == 1;
  const bool again = deserves_another_run(finished.evidence, decision, pending->limits, options_.timing) ||
                     ((!usable || !finished.evidence.judge) && decision.verdict == Verdict::kSandboxError);
  if (first && again) {
    second_runs_.push_back(std::move(pending));
  } else {
    finish(std::move(pending), finished);
  }
  if (!usable) cell.start();
}

void Broker::finish(std::unique_ptr<Pending> pending, CellOwner::Finished& finished) {
  const Attempt& last = pending->attempts.back();
  Result result;
  result.id = std::move(pending->job.id);
  result.verdict = last.verdict;
  result.detail = last.detail;
  result.wall_ms = last.wall_ms;
  result.cpu_ms = last.cpu_ms;
  result.peak_rss_mb = last.peak_rss_mb;
  result.signal = last.signal;
  result.standard_output = std::move(finished.standard_output);
  result.output_bytes = finished.output_bytes;
  result.standard_error = std::move(finished.standard_error);
  result.policy_hash = plan_->policy_hash(pending->limits);
  result.attempts = std::move(pending->attempts);
  send(FrameKind::kResult, pack_result(result));
}

void Broker::send(FrameKind kind, std::string_view payload) {
  outgoing_ += make_frame(kind, payload);
}

void Broker::flush() {
  size_t done = 0;
  while (done < outgoing_.size()) {
    const ssize_t n =
        ::send(socket_.get(), outgoing_.data() + done, outgoing_.size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) ended_ = true;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  const bool had_rest = done < outgoing_.size();
  outgoing_.erase(0, done);
  if (!ended_) loop_.watch_writable(socket_.get(), had_rest);
}

// Leaves nothing of the harness in this process but its standard error and the socket.
void prepare_process(int socket) {
  setsid();  // the terminal's signals are the harness's to answer; it closes the socket
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) signal(number, SIG_IGN);
  const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null_fd, 0);
  dup2(null_fd, 1);
  if (fcntl(2, F_GETFD) < 0) dup2(null_fd, 2);
  if (null_fd > 2) close(null_fd);
  if (socket > 3) syscall(SYS_close_range, 3, socket - 1, 0);
  syscall(SYS_close_range, socket + 1, ~0U, 0);
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  umask(077);
  if (chdir("/") != 0) std::perror("fathom: chdir /");
  if (geteuid() == 0) setgroups(0, nullptr);  // refused in some user namespaces, where it does not matter
}

}  // namespace

void run_broker_if_asked(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], kBrokerArgument) != 0) return;
  const int socket = std::atoi(argv[2]);
  try {
    prepare_process(socket);
    Broker(socket).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fathom: error: sandbox supervisor: %s\n", error.what());
    std::exit(kExitEnvironment);
  }
  std::exit(0);
}

}  // namespace fathom::sandbox
