// Bpe: the merges of byte-level BPE, piece by piece.
//
// Within a piece the adjacent pair whose merge has the lowest index is merged first, the leftmost of equal
// ones first, until no pair has a merge: what Hugging Face `tokenizers` computes. Immutable after load,
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/token.h"

namespace fathom::engine {

/// left, right -> merged; the index in the list is the merge's rank.
struct Merge {
  TokenId left;
  TokenId right;
  TokenId merged;
};

class Bpe {
 public:
  /// `byte_tokens[b]` is the token of byte b, or -1 for a byte that no valid UTF-8 holds. Of two merges of
  /// the same pair the later counts, as in the reference.
  Bpe(const std::array<TokenId, 256>& byte_tokens, const std::vector<Merge>& merges);

  /// Working memory of one thread, reused between calls.
  struct Scratch {
    struct Symbol {
      TokenId token;
      uint32_t rank;  // of the merge with the next symbol
      uint32_t previous;
      uint32_t next;
    };
    std::vector<Symbol> symbols;
    std::vector<uint64_t> queue;  // rank << 32 | position
  };

  /// Appends the tokens of `piece` (valid UTF-8, less than 4 GiB). Time O(n log n).
  void encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;

 private:
  // A slot of the open-addressing table from pairs to ranks.
  struct Slot {
    uint64_t pair = kNoPair;
    uint32_t rank = kNoRank;
  };
  static constexpr uint64_t kNoPair = ~uint64_t{0};
  static constexpr uint32_t kNoRank = ~uint32_t{0};

  static uint64_t pair_key(TokenId left, TokenId right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  size_t first_slot(uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15u) >> slot_shift_; }
  void insert(uint64_t pair, uint32_t rank);
  uint32_t rank_of(TokenId left, TokenId right) const;
  void encode_short(std::string_view piece, std::vector<TokenId>& ids) const;
  void encode_long(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;

  std::array<TokenId, 256> byte_tokens_;
  std::vector<TokenId> merged_;  // by rank
  std::vector<Slot> slots_;      // a power of two, at most half full
  int slot_shift_;
};

}  // namespace fathom::engine
