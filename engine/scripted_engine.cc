#include "engine/scripted_engine.h"

#include <utility>

namespace fathom::engine {

ScriptedEngine::ScriptedEngine(Script script, Order order, int64_t max_tokens)
    : script_(std::move(script)), order_(order), max_tokens_(max_tokens) {}

void ScriptedEngine::submit(Request request) {
  pending_.push_back(std::move(request));
  ++n_waiting_;
}

std::optional<Completion> ScriptedEngine::next() {
  if (pending_.empty()) return std::nullopt;
  Request request;
  if (order_ == Order::kFirstInFirstOut) {
    request = std::move(pending_.front());
    pending_.pop_front();
  } else {
    request = std::move(pending_.back());
    pending_.pop_back();
  }
  --n_waiting_;
  Completion completion;
  completion.id = request.id;
  completion.result = script_(request);
  ++n_answered_;
  return completion;
}

}  // namespace fathom::engine
