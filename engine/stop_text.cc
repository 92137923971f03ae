#include "engine/stop_text.h"

#include <algorithm>

namespace fathom::engine {
namespace {

size_t first_stop(const std::string& text, const std::vector<std::string>& stop) {
  size_t first = std::string::npos;
  for (const std::string& s : stop) first = std::min(first, text.find(s));
  return first;
}

}  // namespace

bool StopText::found() const {
  if (tokenizer_ == nullptr || stop_.empty()) return false;
  return first_stop(tokenizer_->decode(ids_), stop_) != std::string::npos;
}

std::string StopText::text() const {
  if (tokenizer_ == nullptr) return {};
  std::string text = tokenizer_->decode(ids_);
  return text.substr(0, first_stop(text, stop_));
}

}  // namespace fathom::engine
