#include "scorers/sandbox/sandbox.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "scorers/sandbox/broker.h"
#include "scorers/sandbox/pipe.h"
#include "scorers/sandbox/wire.h"

extern char** environ;

namespace fathom::sandbox {
namespace {

[[noreturn]] void throw_environment(const std::string& message) {
  throw Error(ErrorKind::kEnvironment, message, "sandbox");
}

// A program whose main() does not call run_broker_if_asked would start itself again and again instead.
void check_not_the_supervisor() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string program, argument;
  std::getline(file, program, '\0');
  std::getline(file, argument, '\0');
  FATHOM_CHECK(argument != kBrokerArgument, "main() of {} must begin with run_broker_if_asked(argc, argv)",
               program);
}

// posix_spawn shares the caller's memory until exec: its cost does not grow with what the harness has mapped,
// and nothing of a device context is copied.
pid_t spawn_supervisor(int socket) {
  // Its number in the child; dup2 onto itself would keep the close-on-exec flag.
  constexpr int kTarget = 100;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, kTarget);
  const std::string number = std::to_string(kTarget);
  char* argv[] = {const_cast<char*>("fathom"), const_cast<char*>(kBrokerArgument),
                  const_cast<char*>(number.c_str()), nullptr};
  pid_t pid = -1;
  const int failed = posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    throw_environment(fmt::format("the supervisor process cannot be started from /proc/self/exe: {}",
                                  std::strerror(failed)));
  }
  return pid;
}

}  // namespace

// Frames from the supervisor.
class Sandbox::Incoming {
 public:
  explicit Incoming(int socket) : socket_(socket) {}

  FrameReader::Frame wait() {
    while (true) {
      if (auto frame = reader_.next()) {
        if (frame->kind == FrameKind::kFailed) fail(frame->payload);
        return *std::move(frame);
      }
      char buffer[1 << 16];
      const ssize_t n = recv(socket_, buffer, sizeof buffer, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        throw_environment("the supervisor process ended; samples without a result were not decided");
      reader_.append({buffer, static_cast<size_t>(n)});
    }
  }

 private:
  [[noreturn]] static void fail(const std::string& payload) {
    const auto json = nlohmann::json::parse(payload);
    throw Error(static_cast<ErrorKind>(json.at("kind").get<int>()), json.at("message").get<std::string>(),
                json.at("where").get<std::string>());
  }

  int socket_;
  FrameReader reader_;
};

Sandbox::Sandbox() = default;

std::unique_ptr<Sandbox> Sandbox::start(const SandboxOptions& options) {
  check_options(options);
  check_not_the_supervisor();
  auto [ours, theirs] = make_socket_pair(SOCK_STREAM);
  std::unique_ptr<Sandbox> sandbox(new Sandbox);
  sandbox->socket_ = std::move(ours);
  sandbox->supervisor_ = spawn_supervisor(theirs.get());
  sandbox->incoming_ = std::make_unique<Incoming>(sandbox->socket_.get());
  sandbox->send(make_frame(FrameKind::kOptions, nlohmann::json(options).dump()));
  const FrameReader::Frame frame = sandbox->incoming_->wait();
  FATHOM_CHECK(frame.kind == FrameKind::kStarted, "frame {}", static_cast<int>(frame.kind));
  sandbox->run_record_ = std::make_unique<nlohmann::json>(nlohmann::json::parse(frame.payload));
  return sandbox;
}

Sandbox::~Sandbox() {
  socket_.reset();  // the supervisor kills its cells and ends
  if (supervisor_ <= 0) return;
  while (waitpid(supervisor_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Sandbox::send(std::string_view frame) {
  const std::lock_guard lock(sending_);
  while (!frame.empty()) {
    const ssize_t n = ::send(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw_environment("the supervisor process is gone");
    frame.remove_prefix(static_cast<size_t>(n));
  }
}

void Sandbox::submit(const Job& job) {
  if (job.limits) {
    check_limits(*job.limits, job.id);
    check_processes(*job.limits, parse_level(level()), job.id);
  }
  const std::string payload = pack_job(job);
  if (payload.size() >= kMaxFrameBytes) {
    bad_input(job.id, "the texts of this sample have {} bytes together, more than {}", payload.size(),
              kMaxFrameBytes);
  }
  {
    const std::lock_guard lock(counting_);
    FATHOM_CHECK(!closed_, "submit after close");
    ++n_outstanding_;
  }
  counted_.notify_all();
  send(make_frame(FrameKind::kJob, payload));
}

void Sandbox::close() {
  {
    const std::lock_guard lock(counting_);
    closed_ = true;
  }
  counted_.notify_all();
}

std::optional<Result> Sandbox::next() {
  {
    std::unique_lock lock(counting_);
    counted_.wait(lock, [this] { return closed_ || n_outstanding_ > 0; });
    if (n_outstanding_ == 0) return std::nullopt;
  }
  const FrameReader::Frame frame = incoming_->wait();
  FATHOM_CHECK(frame.kind == FrameKind::kResult, "frame {}", static_cast<int>(frame.kind));
  const std::lock_guard lock(counting_);
  --n_outstanding_;
  return unpack_result(frame.payload);
}

std::string Sandbox::level() const {
  return run_record_->at("level").get<std::string>();
}

}  // namespace fathom::sandbox
