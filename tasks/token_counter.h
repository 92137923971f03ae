// TokenCounter: how tasks measure text in the model's own tokens without knowing the engine.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::tasks {

class TokenCounter {
 public:
  virtual ~TokenCounter() = default;
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  virtual std::string decode(std::span<const int32_t> ids) const = 0;
  virtual int64_t count(std::string_view text) const = 0;
};

}  // namespace fathom::tasks
