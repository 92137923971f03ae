// Runs model-written Python programs in confinement and tells what came of them.
//
//   auto sandbox = Sandbox::start(options);     // preflight; throws when a layer is missing
//   sandbox->submit(job); ...
//   sandbox->close();                           // no more jobs
//   while (auto result = sandbox->next()) ...   // in the order in which they end
//
// One thread may submit while another one takes results. Samples of one problem (same prompt and tests) share
// what is compiled of it. docs/sandbox.md has threat model, layers, limits and verdicts.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "scorers/sandbox/file_descriptor.h"
#include "scorers/sandbox/job.h"
#include "scorers/sandbox/options.h"

namespace fathom::sandbox {

class Sandbox {
 public:
  /// Starts the supervisor process and one cell, and proves every layer by trying to break it. Throws
  /// Error{kEnvironment} naming the layer that is missing, the errno and what to do, or the interpreter's
  /// fault; Error{kUsage} for options that contradict themselves.
  static std::unique_ptr<Sandbox> start(const SandboxOptions& options);

  /// Kills what is still running.
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  /// Queues a sample. Throws Error{kBadInput} when it is too large, Error{kEnvironment} when the supervisor
  /// is gone.
  void submit(const Job& job);
  /// Says that no job will follow.
  void close();
  /// Waits for the next result; nothing once the sandbox is closed and everything was returned. Throws
  /// Error{kEnvironment} when the supervisor gave up: nothing that is still missing was decided.
  std::optional<Result> next();

  /// Level, layers, warnings, kernel, interpreter, policy and its hash, as JSON: what a run stores.
  const nlohmann::json& run_record() const { return *run_record_; }
  std::string level() const;
  pid_t supervisor() const { return supervisor_; }

 private:
  class Incoming;
  Sandbox();
  void send(std::string_view frame);

  FileDescriptor socket_;
  pid_t supervisor_ = -1;
  std::unique_ptr<Incoming> incoming_;
  std::unique_ptr<nlohmann::json> run_record_;
  std::mutex sending_;
  std::mutex counting_;
  std::condition_variable counted_;
  int64_t n_outstanding_ = 0;
  bool closed_ = false;
};

}  // namespace fathom::sandbox
