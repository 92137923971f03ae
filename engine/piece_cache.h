// PieceCache: the tokens of short pieces seen before. Text repeats its words: on English prose nine pieces of
// ten come from here, at a tenth of the price of merging them again.
//
// A direct-mapped table of one cache line an entry: a new piece simply takes the place of the one before it,
// so memory is bounded and results never depend on what is cached. Not thread-safe: one for each thread at
// work.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "engine/token.h"

namespace fathom::engine {

class PieceCache {
 public:
  PieceCache() : entries_(size_t{1} << kIndexBits) {}

  /// Appends the tokens of `piece`: the cached ones, or those that `compute(piece, ids)` appends.
  template <typename Compute>
  void append(std::string_view piece, std::vector<TokenId>& ids, const Compute& compute) {
    if (piece.size() > kMaxBytes) return compute(piece, ids);
    const Key key = key_of(piece);
    Entry& entry = entries_[index_of(key)];
    if (entry.key == key) {
      ids.insert(ids.end(), entry.tokens, entry.tokens + entry.n_tokens);
      return;
    }
    const size_t before = ids.size();
    compute(piece, ids);
    const size_t n_tokens = ids.size() - before;
    if (n_tokens > kMaxTokens) return;
    entry.key = key;
    entry.n_tokens = static_cast<uint32_t>(n_tokens);
    std::copy_n(ids.begin() + static_cast<ptrdiff_t>(before), n_tokens, entry.tokens);
  }

 private:
  static constexpr size_t kMaxBytes = 24;
  static constexpr size_t kMaxTokens = 8;
  static constexpr int kIndexBits = 15;

  // All bytes of a piece and its length. Words may overlap: with the length they still determine the bytes.
  struct Key {
    uint64_t words[3] = {0, 0, 0};
    uint32_t n_bytes = 0;  // 0 in an entry that was never filled: a piece is not empty
    bool operator==(const Key&) const = default;
  };
  struct alignas(64) Entry {
    Key key;
    uint32_t n_tokens = 0;
    TokenId tokens[kMaxTokens];
  };

  template <typename Word>
  static Word load(const char* from) {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
  }

  static Key key_of(std::string_view piece) {
    const char* const first = piece.data();
    const size_t n = piece.size();
    const char* const last = first + n;
    Key key;
    key.n_bytes = static_cast<uint32_t>(n);
    if (n > 16) {
      key.words[0] = load<uint64_t>(first);
      key.words[1] = load<uint64_t>(first + 8);
      key.words[2] = load<uint64_t>(last - 8);
    } else if (n >= 8) {
      key.words[0] = load<uint64_t>(first);
      key.words[1] = load<uint64_t>(last - 8);
    } else if (n >= 4) {
      key.words[0] = load<uint32_t>(first) | uint64_t{load<uint32_t>(last - 4)} << 32;
    } else {
      for (size_t i = 0; i < n; ++i) key.words[0] |= uint64_t{static_cast<uint8_t>(first[i])} << (8 * i);
    }
    return key;
  }

  static size_t index_of(const Key& key) {
    uint64_t hash = (key.words[0] ^ key.n_bytes) * 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 32 ^ key.words[1]) * 0xBF58476D1CE4E5B9u;
    hash = (hash ^ hash >> 29 ^ key.words[2]) * 0x94D049BB133111EBu;
    return hash >> (64 - kIndexBits);
  }

  std::vector<Entry> entries_;
};

}  // namespace fathom::engine
