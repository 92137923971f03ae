#include "scorers/sandbox/cell.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "scorers/sandbox/bubblewrap.h"
#include "scorers/sandbox/pipe.h"
#include "scorers/sandbox/preflight.h"

namespace fathom::sandbox {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstTick{20};
constexpr milliseconds kTick{50};
constexpr std::chrono::seconds kStartLimit{60};
constexpr int64_t kMiB = 1 << 20;
constexpr size_t kLongestVerdict = 1 << 16;

double elapsed_ms(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

double one_minute_load() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

// What the judge needs to know about a problem: the same for all its samples, so that they share what it
// compiles.
std::string problem_text(const Job& job) {
  nlohmann::json spec;
  switch (job.kind) {
    case JobKind::kCheck:
      spec = {
          {"mode", "check"}, {"prompt", job.prompt}, {"test", job.test}, {"entry_point", job.entry_point}};
      break;
    case JobKind::kAsserts:
      spec = {{"mode", "asserts"}, {"setup", job.setup}, {"tests", job.tests}};
      break;
    case JobKind::kProgram:
      spec = {{"mode", "program"}};
      break;
  }
  // Data-set text that is no UTF-8 cannot be a Python program either; the judge reports what it gets.
  return spec.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The process number that a pidfd stands for, as this process sees it.
pid_t pid_of(int pidfd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(pidfd));
  for (std::string key; info >> key;) {
    pid_t pid = 0;
    if (key == "Pid:" && info >> pid) return pid;
  }
  return 0;
}

bool exists(int pidfd) {
  return syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0) == 0;
}

std::string read_available(int fd, size_t limit, bool& closed) {
  std::string text;
  char buffer[65536];
  while (text.size() < limit) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    closed = n == 0;
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
    if (static_cast<size_t>(n) < sizeof buffer) break;
  }
  return text;
}

}  // namespace

struct Cell::Sample {
  const Job* job = nullptr;  // null: the preflight
  Limits limits;
  Clock::time_point start;
  double load = 0;
  FileDescriptor verdict;  // of the judge, or of the probe
  std::string verdict_text;
  bool decided = false;      // the verdict pipe is closed
  FileDescriptor output[2];  // standard output and standard error
  std::string kept[2];
  int64_t written[2] = {0, 0};
  Evidence evidence;
  double seen_cpu_ms = 0;
  Clock::time_point progress;
};

Cell::Cell(int index, const CellPlan& plan, EventLoop& loop, CellOwner& owner)
    : index_(index), plan_(plan), loop_(loop), owner_(owner) {}

Cell::~Cell() {
  stop();
}

void Cell::stop() {
  if (sample_) {
    for (const int fd : {sample_->verdict.get(), sample_->output[0].get(), sample_->output[1].get()})
      loop_.forget(fd);
  }
  sample_.reset();
  for (Side* side : {&runner_, &judge_}) {
    if (side->zygote) loop_.forget(side->zygote->control_fd());
    if (side->orders) loop_.forget(side->orders.get());
    *side = Side();
  }
  next_tick_.reset();
  state_ = State::kStopped;
}

void Cell::start() {
  stop();
  try {
    runner_.zygote = std::make_unique<Zygote>(plan_.zygote(index_, Role::kRunner));
    judge_.zygote = std::make_unique<Zygote>(plan_.zygote(index_, Role::kJudge));
  } catch (const SetupFailure& failure) {
    fail(failure);
    return;
  }
  for (Side* side : {&runner_, &judge_}) {
    loop_.watch(side->zygote->control_fd(), [this, side] { on_report(*side); });
  }
  state_ = State::kStarting;
  next_tick_ = Clock::now() + kStartLimit;
}

void Cell::fail(const SetupFailure& failure) {
  stop();
  owner_.cell_failed(*this, failure);
}

void Cell::on_report(Side& side) {
  auto received = side.zygote->receive();
  if (!received) {
    if (side.zygote->gone()) on_zygote_gone(side);
    return;
  }
  const Report& report = received->report;
  switch (report.kind) {
    case ReportKind::kReady:
      side.ready = true;
      if (runner_.ready && judge_.ready && state_ == State::kStarting) start_probe();
      return;
    case ReportKind::kStarted:
      side.child = std::move(received->fd);
      if (sample_ && sample_->evidence.stopped_by != StoppedBy::kNobody) kill_child(side);
      if (sample_ && sample_->job != nullptr && sample_->decided && &side == &runner_) kill_child(side);
      return;
    case ReportKind::kFailed: {
      const std::string text = report.text;
      const size_t end = text.find('\n');
      const SetupFailure failure =
          end == std::string::npos ? SetupFailure{text, "", report.status}
                                   : SetupFailure{text.substr(0, end), text.substr(end + 1), report.status};
      if (state_ != State::kBusy) return fail(failure);
      sample_->evidence.sandbox_failure = describe(failure);
      return;
    }
    case ReportKind::kExited:
      if (state_ == State::kIdle) return end_child(side);  // a judge's process that was waiting for a sample
      side.child_exited = true;
      side.exit = report;
      finish_if_over();
      return;
    case ReportKind::kServed:
      break;
  }
  FATHOM_CHECK(false, "a zygote reported {}", static_cast<int>(report.kind));
}

void Cell::on_served() {
  bool gone = false;
  const auto received = receive_report(judge_.orders.get(), gone);
  if (gone) return loop_.forget(judge_.orders.get());  // the zygote will say how it ended
  if (!received || state_ != State::kBusy || judge_.killed)
    return;  // a killed one is over when its zygote says so
  judge_.served = true;
  judge_.exit = received->report;
  finish_if_over();
}

void Cell::on_zygote_gone(Side& side) {
  const std::string name = &side == &runner_ ? "runner" : "judge";
  const std::string errors = side.zygote->errors();
  if (state_ != State::kBusy) {
    return fail({"python",
                 fmt::format("the {}'s interpreter ended before it was ready{}{} ({})", name,
                             errors.empty() ? "" : ": ", errors, plan_.refused_at_start()),
                 0});
  }
  sample_->evidence.sandbox_failure =
      fmt::format("the {}'s zygote died{}{}", name, errors.empty() ? "" : ": ", errors);
  finish();
}

void Cell::start_probe() {
  state_ = State::kProbing;
  if (plan_.level() == Level::kBwrap) {
    try {
      for (Side* side : {&runner_, &judge_}) check_bubblewrap(*side->zygote, plan_);
    } catch (const SetupFailure& failure) {
      return fail(failure);
    }
  }
  sample_ = std::make_unique<Sample>();
  sample_->limits = plan_.options().limits;
  Pipe pipe = make_pipe();
  make_non_blocking(pipe.read_end.get());
  const FileDescriptor null_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
  Order order;
  order.kind = OrderKind::kProbe;
  order.memory_bytes = sample_->limits.memory_mb * kMiB;
  order.tmp_bytes = sample_->limits.tmp_mb * kMiB;
  const int fds[] = {null_fd.get(), null_fd.get(), pipe.write_end.get(), null_fd.get(), null_fd.get()};
  if (!runner_.zygote->send(order, fds)) return fail({"python", "the runner does not take orders", errno});
  sample_->verdict = std::move(pipe.read_end);
  loop_.watch(sample_->verdict.get(), [this] { read_verdict(); });
}

void Cell::finish_probe() {
  const std::string text = std::move(sample_->verdict_text);
  const int status = runner_.exit.status;
  loop_.forget(sample_->verdict.get());
  sample_.reset();
  runner_.child.reset();
  runner_.child_exited = false;
  try {
    check_probe(text, status, plan_);
  } catch (const SetupFailure& failure) {
    return fail(failure);
  }
  state_ = State::kIdle;
  next_tick_.reset();
  owner_.cell_ready(*this);
}

void Cell::run(const Job& job, const Limits& limits) {
  FATHOM_CHECK(state_ == State::kIdle);
  state_ = State::kBusy;
  sample_ = std::make_unique<Sample>();
  sample_->job = &job;
  sample_->limits = limits;
  sample_->load = one_minute_load();
  sample_->start = sample_->progress = Clock::now();
  next_tick_ = sample_->start + kFirstTick;

  try {
    if (Cgroup* group = runner_.zygote->cgroup())
      group->set_limits(plan_.cgroup_limits(Role::kRunner, limits));
  } catch (const SetupFailure& failure) {
    sample_->evidence.sandbox_failure = describe(failure);
  }
  Pipe calls = make_pipe(), replies = make_pipe(), verdict = make_pipe(), out = make_pipe(),
       err = make_pipe();
  const FileDescriptor program =
      make_memory_file("program", job.kind == JobKind::kCheck ? job.prompt + job.completion : job.completion);

  Order order;
  // Under the reference's rule threads may use more CPU time than the wall clock shows.
  const double cpu_s = plan_.options().timing == Timing::kReference ? 16 * limits.wall_s : limits.cpu_s;
  order.cpu_s = static_cast<uint32_t>(std::ceil(cpu_s)) + 1;
  order.memory_bytes = limits.memory_mb * kMiB;
  order.tmp_bytes = limits.tmp_mb * kMiB;
  order.processes = limits.processes;
  const int runner_fds[] = {program.get(), calls.read_end.get(), replies.write_end.get(), out.write_end.get(),
                            err.write_end.get()};
  const bool runner_took = runner_.zygote->send(order, runner_fds);
  const int judge_fds[] = {replies.read_end.get(), calls.write_end.get(), verdict.write_end.get()};
  const bool judge_took = order_judge(order, job, judge_fds);
  if (!runner_took || !judge_took) {
    return;  // the zygote is gone: its socket says so in the next round
  }
  sample_->verdict = std::move(verdict.read_end);
  sample_->output[0] = std::move(out.read_end);
  sample_->output[1] = std::move(err.read_end);
  for (const int fd : {sample_->verdict.get(), sample_->output[0].get(), sample_->output[1].get()})
    make_non_blocking(fd);
  loop_.watch(sample_->verdict.get(), [this] { read_verdict(); });
  for (const int stream : {0, 1})
    loop_.watch(sample_->output[stream].get(), [this, stream] { read_output(stream); });
}

bool Cell::order_judge(Order order, const Job& job, std::span<const int> fds) {
  const std::string problem = problem_text(job);
  const FileDescriptor tests = make_memory_file("tests", problem);
  order.key = sha256(problem);
  order.memory_bytes = kFixedLimits.judge_memory_mb * kMiB;
  order.tmp_bytes = plan_.options().limits.tmp_mb * kMiB;
  order.processes = 1;
  std::vector<int> all = {tests.get()};
  all.insert(all.end(), fds.begin(), fds.end());
  if (judge_.orders) return send_order(judge_.orders.get(), order, all);
  auto [ours, theirs] = make_socket_pair(SOCK_SEQPACKET);
  judge_.orders = std::move(ours);
  loop_.watch(judge_.orders.get(), [this] { on_served(); });
  all.push_back(theirs.get());
  return judge_.zygote->send(order, all);
}

void Cell::read_verdict() {
  bool closed = false;
  sample_->verdict_text += read_available(sample_->verdict.get(), kLongestVerdict, closed);
  if (!closed && sample_->verdict_text.size() < kLongestVerdict) return;
  loop_.forget(sample_->verdict.get());
  sample_->decided = true;
  if (sample_->job != nullptr) kill_child(runner_);
}

void Cell::read_output(int stream) {
  bool closed = false;
  const std::string text = read_available(sample_->output[stream].get(), 1 << 20, closed);
  sample_->written[stream] += static_cast<int64_t>(text.size());
  const auto room = static_cast<size_t>(std::min(kOutputHeadBytes, sample_->limits.output_bytes));
  std::string& kept = sample_->kept[stream];
  if (kept.size() < room) kept.append(text, 0, room - kept.size());
  if (closed) loop_.forget(sample_->output[stream].get());
  if (sample_->written[stream] > sample_->limits.output_bytes) stop_sample(StoppedBy::kOutput);
}

void Cell::kill_child(Side& side) {
  if (!side.child || side.over()) return;
  side.killed = true;
  syscall(SYS_pidfd_send_signal, side.child.get(), SIGKILL, nullptr, 0);
}

void Cell::stop_sample(StoppedBy reason) {
  if (sample_->evidence.stopped_by == StoppedBy::kNobody) sample_->evidence.stopped_by = reason;
  kill_child(runner_);
  kill_child(judge_);
}

void Cell::finish_if_over() {
  if (state_ == State::kProbing && runner_.child_exited) {
    read_verdict();
    finish_probe();
  } else if (state_ == State::kBusy && runner_.over() && judge_.over()) {
    finish();
  }
}

void Cell::finish() {
  const Clock::time_point now = Clock::now();
  for (const int stream : {0, 1}) {
    if (sample_->output[stream]) read_output(stream);
    loop_.forget(sample_->output[stream].get());
  }
  if (sample_->verdict) read_verdict();
  loop_.forget(sample_->verdict.get());

  CellOwner::Finished finished;
  Evidence& evidence = sample_->evidence;
  evidence.judge = parse_judge_outcome(sample_->verdict_text);
  evidence.judge_status = judge_.exit.status;
  evidence.runner_status = runner_.exit.status;
  // A judge that found the program gone spoke before we killed what was left of it.
  const bool gone_before =
      evidence.judge && evidence.judge->outcome == "gone" && evidence.stopped_by == StoppedBy::kNobody;
  evidence.runner_killed = runner_.killed && !gone_before && WIFSIGNALED(runner_.exit.status) &&
                           WTERMSIG(runner_.exit.status) == SIGKILL;
  evidence.runner_flags = runner_.exit.flags;
  evidence.memory_kill = memory_killed();
  evidence.wall_ms = elapsed_ms(sample_->start, now);
  evidence.judge_cpu_ms = judge_.exit_cpu_ms();
  evidence.cpu_ms = runner_.exit_cpu_ms() + evidence.judge_cpu_ms;
  evidence.peak_rss_mb = static_cast<double>(runner_.exit.peak_rss_kib) / 1024;
  evidence.output_bytes = std::max(sample_->written[0], sample_->written[1]);
  finished.evidence = std::move(evidence);
  finished.started_at_load = sample_->load;
  finished.output_bytes = sample_->written[0];
  finished.standard_output = std::move(sample_->kept[0]);
  finished.standard_error = std::move(sample_->kept[1]);
  finished.runner_cpu_ms = runner_.exit_cpu_ms();
  const bool usable = !runner_.zygote->gone() && !judge_.zygote->gone();
  sample_.reset();
  end_child(runner_);
  if (judge_.child_exited) {
    end_child(judge_);
  } else {
    keep_judge();
  }
  next_tick_.reset();
  if (usable) {
    state_ = State::kIdle;
  } else {
    stop();
  }
  owner_.cell_finished(*this, std::move(finished), usable);
}

// Asks only when a program can have been killed by the kernel: the answer is a file to read.
bool Cell::memory_killed() {
  Cgroup* const group = runner_.zygote->cgroup();
  const int status = runner_.exit.status;
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !sample_->evidence.runner_killed;
  if (group == nullptr || (sample_->limits.processes == 1 && !killed)) return false;
  const int64_t before = std::exchange(runner_.n_memory_kills, group->n_memory_kills());
  return runner_.n_memory_kills > before;
}

// Forgets the side's process, which is gone.
void Cell::end_child(Side& side) {
  side.child.reset();
  side.child_exited = side.killed = side.served = false;
  side.clock.reset();
  side.child_pid = 0;
  side.exit = Report();
  side.earlier_cpu_ms = 0;
  if (side.orders) loop_.forget(side.orders.get());
  side.orders.reset();
}

// The judge's process waits for the next sample.
void Cell::keep_judge() {
  judge_.earlier_cpu_ms += judge_.exit_cpu_ms();
  judge_.served = false;
}

double Cell::cpu_ms(Side& side) {
  if (side.over()) return side.exit_cpu_ms();
  if (!side.child) return 0;
  if (!side.clock) {
    side.child_pid = pid_of(side.child.get());
    clockid_t clock;
    if (side.child_pid <= 0 || clock_getcpuclockid(side.child_pid, &clock) != 0) return 0;
    side.clock = clock;
  }
  timespec used{};
  // The number may have been given to another process by now, unless the child is still there afterwards.
  if (clock_gettime(*side.clock, &used) != 0 || !exists(side.child.get())) return 0;
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6 -
         side.earlier_cpu_ms;
}

// True when no thread of the side's process is running, waiting for a processor or for a disk.
bool Cell::sleeping(const Side& side) const {
  if (side.over() || side.child_pid <= 0) return true;
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(side.child_pid) + "/task", error)) {
    std::ifstream file(task.path() / "stat");
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const size_t end = text.rfind(')');  // the name before it may hold anything
    if (end == std::string::npos || end + 2 >= text.size()) continue;
    const char state = text[end + 2];
    if (state == 'R' || state == 'D') return false;
  }
  return true;
}

void Cell::tick(Clock::time_point now) {
  if (!next_tick_ || now < *next_tick_) return;
  if (state_ == State::kStarting || state_ == State::kProbing) {
    return fail({"python", "the interpreter was not ready within 60 s", 0});
  }
  if (state_ != State::kBusy) {
    next_tick_.reset();
    return;
  }
  next_tick_ = now + kTick;
  const Limits& limits = sample_->limits;
  const bool by_cpu = plan_.options().timing == Timing::kDefault;
  const double used_ms = cpu_ms(runner_) + cpu_ms(judge_);
  if (used_ms > sample_->seen_cpu_ms) {
    sample_->seen_cpu_ms = used_ms;
    sample_->progress = now;
  }
  if (by_cpu && used_ms >= limits.cpu_s * 1e3) return stop_sample(StoppedBy::kCpu);
  if (elapsed_ms(sample_->start, now) >= limits.wall_s * 1e3) return stop_sample(StoppedBy::kWall);
  if (by_cpu && elapsed_ms(sample_->progress, now) >= limits.idle_s * 1e3) {
    if (sleeping(runner_) && sleeping(judge_)) return stop_sample(StoppedBy::kIdle);
    sample_->progress = now;
  }
  // Close to a limit the next look comes with it.
  const double left_ms = limits.wall_s * 1e3 - elapsed_ms(sample_->start, now);
  next_tick_ = now + std::clamp(milliseconds(static_cast<int64_t>(left_ms) + 1), milliseconds(1), kTick);
}

}  // namespace fathom::sandbox
