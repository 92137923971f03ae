// ScriptedEngine: an Engine for tests that answers from a function.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <variant>

#include "engine/engine.h"

namespace fathom::engine {

class ScriptedEngine : public Engine {
 public:
  using Result = std::variant<ScoreResult, GenerateResult, RequestFailure>;
  /// What to answer. An Error it throws leaves next() as an engine failure does.
  using Script = std::function<Result(const Request&)>;

  /// Which pending request next() answers: both orders are legal for an Engine, and callers must not care.
  enum class Order { kFirstInFirstOut, kLastInFirstOut };

  explicit ScriptedEngine(Script script, Order order = Order::kFirstInFirstOut, int64_t max_tokens = 4096);

  void submit(Request request) override;
  std::optional<Completion> next() override;
  EngineLoad load() const override { return {.n_waiting = n_waiting_}; }
  int64_t max_tokens() const override { return max_tokens_; }
  std::string numerics_json() const override { return R"({"kernel_set":"scripted"})"; }

  /// Requests answered so far.
  int64_t n_answered() const { return n_answered_; }

 private:
  Script script_;
  Order order_;
  int64_t max_tokens_;
  int64_t n_answered_ = 0;
  std::deque<Request> pending_;
  std::atomic<int64_t> n_waiting_ = 0;  // pending_.size(), for load()
};

}  // namespace fathom::engine
