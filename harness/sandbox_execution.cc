#include "harness/sandbox_execution.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "scorers/sandbox/sandbox.h"

namespace fathom::harness {
namespace {

results::VerdictRecord verdict_record(const sandbox::Attempt& attempt, const Sha256Digest& policy) {
  results::VerdictRecord record;
  record.verdict = std::string(sandbox::verdict_name(attempt.verdict));
  record.detail = attempt.detail;
  if (attempt.signal != 0) record.signal = attempt.signal;
  record.wall_us = static_cast<int64_t>(attempt.wall_ms * 1e3);
  record.cpu_us = static_cast<int64_t>(attempt.cpu_ms * 1e3);
  record.peak_rss_bytes = static_cast<int64_t>(attempt.peak_rss_mb * (1 << 20));
  record.policy_sha256 = policy;
  return record;
}

// A thread waits for the sandbox, so that the run loop can ask without waiting.
class SandboxExecution : public CodeExecution {
 public:
  explicit SandboxExecution(const sandbox::SandboxOptions& options)
      : sandbox_(sandbox::Sandbox::start(options)),
        policy_(read_policy(*sandbox_)),
        collector_([this] { collect(); }) {}

  ~SandboxExecution() override {
    sandbox_->close();
    collector_.join();
  }

  CodePolicy policy() const override { return policy_; }

  void submit(CodeJob job) override {
    {
      std::lock_guard lock(mutex_);
      ++n_running_;
    }
    sandbox_->submit({.id = std::to_string(job.id),
                      .kind = sandbox::JobKind::kCheck,
                      .prompt = std::move(job.prompt),
                      .completion = std::move(job.completion),
                      .test = std::move(job.test),
                      .entry_point = std::move(job.entry_point)});
  }

  std::optional<CodeOutcome> next(Wait wait) override {
    std::unique_lock lock(mutex_);
    if (wait == Wait::kWait) {
      changed_.wait(lock, [this] { return !finished_.empty() || n_running_ == 0 || failure_ != nullptr; });
    }
    if (!finished_.empty()) {
      CodeOutcome outcome = std::move(finished_.front());
      finished_.pop_front();
      return outcome;
    }
    if (failure_) std::rethrow_exception(failure_);
    return std::nullopt;
  }

 private:
  static CodePolicy read_policy(const sandbox::Sandbox& sandbox) {
    const nlohmann::json& record = sandbox.run_record();
    return {.sha256 = digest_from_hex(record.at("policy_hash").get<std::string>()).value(),
            .level = sandbox.level(),
            .layers_json = record.dump()};
  }

  void collect() {
    try {
      while (std::optional<sandbox::Result> result = sandbox_->next()) {
        CodeOutcome outcome{.id = std::stoull(result->id),
                            .verdict = std::string(sandbox::verdict_name(result->verdict)),
                            .attempts = {}};
        for (const sandbox::Attempt& attempt : result->attempts) {
          outcome.attempts.push_back(verdict_record(attempt, policy_.sha256));
        }
        std::lock_guard lock(mutex_);
        finished_.push_back(std::move(outcome));
        --n_running_;
        changed_.notify_all();
      }
    } catch (...) {
      std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  std::unique_ptr<sandbox::Sandbox> sandbox_;
  CodePolicy policy_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<CodeOutcome> finished_;
  int64_t n_running_ = 0;
  std::exception_ptr failure_;
  std::thread collector_;
};

}  // namespace

std::unique_ptr<CodeExecution> start_sandbox_execution(const sandbox::SandboxOptions& options) {
  return std::make_unique<SandboxExecution>(options);
}

}  // namespace fathom::harness
