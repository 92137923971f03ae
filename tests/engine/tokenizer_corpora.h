// The seeded texts of tools/tokenizer/corpora.py, character for character.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom::engine {

/// splitmix64.
class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  uint64_t next();
  /// next() modulo n.
  size_t below(size_t n) { return next() % n; }

 private:
  uint64_t state_;
};

/// `count` texts of the named corpus; `tokens` are the contents of the added tokens in the order of their
/// ids.
std::vector<std::string> corpus_texts(const std::string& corpus, uint64_t seed, int count,
                                      const std::vector<std::string>& tokens);

}  // namespace fathom::engine
