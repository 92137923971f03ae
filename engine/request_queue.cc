#include "engine/request_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kernels/kernels.h"

namespace fathom::engine {
std::span<const TokenId> prompt_ids(const Request& request) {
  if (const auto* score = std::get_if<ScoreRequest>(&request.body)) return score->context;
  return std::get<GenerateRequest>(request.body).prompt;
}

int64_t longest_sequence(const Request& request) {
  if (const auto* generate = std::get_if<GenerateRequest>(&request.body))
    return std::ssize(generate->prompt) + generate->max_tokens;
  const auto& score = std::get<ScoreRequest>(request.body);
  int64_t longest = 0;
  for (const auto& continuation : score.continuations) longest = std::max(longest, std::ssize(continuation));
  return std::ssize(score.context) + longest;
}

bool RequestQueue::ByIds::operator()(const WaitingRequest& a, const WaitingRequest& b) const {
  const auto x = prompt_ids(a.request), y = prompt_ids(b.request);
  return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
}

void RequestQueue::push(WaitingRequest waiting) {
  const std::span<const TokenId> ids = prompt_ids(waiting.request);
  const auto key = ids.first(std::min(ids.size(), static_cast<size_t>(kernels::kBlockTokens)));
  groups_[{key.begin(), key.end()}].insert(std::move(waiting));
  ++n_;
}

std::vector<std::vector<TokenId>> RequestQueue::order_of_groups() const {
  struct Place {
    bool is_current;
    int64_t longest;
    const std::vector<TokenId>* key;
  };
  std::vector<Place> places;
  for (const auto& [key, group] : groups_) {
    int64_t longest = 0;
    for (const WaitingRequest& waiting : group)
      longest = std::max(longest, longest_sequence(waiting.request));
    places.push_back({key == current_, longest, &key});
  }
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.is_current != b.is_current ? a.is_current : a.longest > b.longest;
  });
  std::vector<std::vector<TokenId>> order;
  for (const Place& place : places) order.push_back(*place.key);
  return order;
}

}  // namespace fathom::engine
