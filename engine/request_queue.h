// RequestQueue: requests that wait for the engine, in the order in which their prompts share most.
//
// Requests whose prompts begin with the same block of ids form a group. A group is served to its end, in
// lexicographic order of ids, so that whatever two of its prompts share is used while it is fresh; then comes
// the group with the longest request, so that no long one starts last and alone. The order is one of time
// only: no result depends on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace fathom::engine {

struct WaitingRequest {
  Request request;
  std::chrono::steady_clock::time_point submitted;
};

/// The context of a score request, the prompt of a generate request.
std::span<const TokenId> prompt_ids(const Request& request);
/// Tokens of the longest sequence that the request may become.
int64_t longest_sequence(const Request& request);

class RequestQueue {
 public:
  void push(WaitingRequest waiting);
  bool empty() const { return n_ == 0; }
  size_t size() const { return n_; }

  enum class Verdict {
    kTake,  ///< leaves the queue
    kSkip,  ///< stays; the next one is looked at
    kStop,  ///< stays, and so do all behind it
  };
  /// Shows the requests in order of service to `judge(const WaitingRequest&) -> Verdict` and hands those that
  /// it takes to `take(WaitingRequest)`.
  template <typename Judge, typename Take>
  void serve(const Judge& judge, const Take& take) {
    for (const std::vector<TokenId>& key : order_of_groups()) {
      Group& group = groups_.at(key);
      for (auto it = group.begin(); it != group.end();) {
        const Verdict verdict = judge(*it);
        if (verdict == Verdict::kStop) return;
        if (verdict == Verdict::kSkip) {
          ++it;
          continue;
        }
        current_ = key;
        take(std::move(group.extract(it++).value()));
        --n_;
      }
      if (group.empty()) groups_.erase(key);
    }
  }

 private:
  struct ByIds {
    bool operator()(const WaitingRequest& a, const WaitingRequest& b) const;
  };
  using Group = std::multiset<WaitingRequest, ByIds>;

  /// The group being served, then the others, that with the longest request first.
  std::vector<std::vector<TokenId>> order_of_groups() const;

  std::map<std::vector<TokenId>, Group> groups_;  // by the first block of ids
  std::vector<TokenId> current_;                  // the group being served
  size_t n_ = 0;
};

}  // namespace fathom::engine
