// ByteCounter: a TokenCounter whose tokens are the bytes of the text. For template hashes and tests.
#pragma once

#include <string>
#include <vector>

#include "tasks/token_counter.h"

namespace fathom::tasks {

class ByteCounter : public TokenCounter {
 public:
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    ids.reserve(text.size());
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(std::span<const int32_t> ids) const override { return {ids.begin(), ids.end()}; }
  int64_t count(std::string_view text) const override { return static_cast<int64_t>(text.size()); }
};

}  // namespace fathom::tasks
