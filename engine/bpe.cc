#include "engine/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/error.h"

namespace fathom::engine {
namespace {

// Up to this length a linear search for the lowest rank beats a heap.
constexpr size_t kShortPiece = 64;

}  // namespace

Bpe::Bpe(const std::array<TokenId, 256>& byte_tokens, const std::vector<Merge>& merges)
    : byte_tokens_(byte_tokens) {
  slots_.resize(std::bit_ceil(2 * merges.size() + 2));
  slot_shift_ = 64 - std::countr_zero(slots_.size());
  merged_.reserve(merges.size());
  for (const Merge& merge : merges) {
    insert(pair_key(merge.left, merge.right), static_cast<uint32_t>(merged_.size()));
    merged_.push_back(merge.merged);
  }
}

void Bpe::insert(uint64_t pair, uint32_t rank) {
  size_t slot = first_slot(pair);
  while (slots_[slot].pair != kNoPair && slots_[slot].pair != pair) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = {pair, rank};
}

uint32_t Bpe::rank_of(TokenId left, TokenId right) const {
  const uint64_t pair = pair_key(left, right);
  size_t slot = first_slot(pair);
  while (slots_[slot].pair != pair) {
    if (slots_[slot].pair == kNoPair) return kNoRank;
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slots_[slot].rank;
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  if (piece.size() <= kShortPiece) {
    encode_short(piece, ids);
  } else {
    encode_long(piece, scratch, ids);
  }
}

void Bpe::encode_short(std::string_view piece, std::vector<TokenId>& ids) const {
  TokenId tokens[kShortPiece];
  uint32_t ranks[kShortPiece];  // of tokens i and i + 1
  size_t n = piece.size();
  for (size_t i = 0; i < n; ++i) tokens[i] = byte_tokens_[static_cast<uint8_t>(piece[i])];
  for (size_t i = 0; i + 1 < n; ++i) ranks[i] = rank_of(tokens[i], tokens[i + 1]);
  while (n > 1) {
    const size_t at = static_cast<size_t>(std::min_element(ranks, ranks + n - 1) - ranks);
    if (ranks[at] == kNoRank) break;
    tokens[at] = merged_[ranks[at]];
    std::copy(tokens + at + 2, tokens + n, tokens + at + 1);
    std::copy(ranks + at + 1, ranks + n - 1, ranks + at);
    --n;
    if (at + 1 < n) ranks[at] = rank_of(tokens[at], tokens[at + 1]);
    if (at > 0) ranks[at - 1] = rank_of(tokens[at - 1], tokens[at]);
  }
  ids.insert(ids.end(), tokens, tokens + n);
}

// A heap of (rank, position) over a linked list of symbols. An entry is stale when its symbol has been merged
// away or has another rank by now; a rank names one pair, so equal ranks mean an equal pair.
void Bpe::encode_long(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const {
  constexpr uint32_t kEnd = ~uint32_t{0};
  FATHOM_CHECK(piece.size() < kEnd, "{} bytes", piece.size());
  const auto n = static_cast<uint32_t>(piece.size());
  auto& symbols = scratch.symbols;
  auto& queue = scratch.queue;
  symbols.resize(n);
  queue.clear();
  for (uint32_t i = 0; i < n; ++i) {
    symbols[i] = {byte_tokens_[static_cast<uint8_t>(piece[i])], kNoRank, i - 1, i + 1 < n ? i + 1 : kEnd};
  }
  symbols[0].previous = kEnd;
  auto update_rank = [&](uint32_t i) {
    Scratch::Symbol& symbol = symbols[i];
    symbol.rank = symbol.next == kEnd ? kNoRank : rank_of(symbol.token, symbols[symbol.next].token);
    if (symbol.rank != kNoRank) queue.push_back(uint64_t{symbol.rank} << 32 | i);
    return symbol.rank != kNoRank;
  };
  for (uint32_t i = 0; i < n; ++i) update_rank(i);
  std::make_heap(queue.begin(), queue.end(), std::greater<>());
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const auto i = static_cast<uint32_t>(queue.back());
    const auto rank = static_cast<uint32_t>(queue.back() >> 32);
    queue.pop_back();
    Scratch::Symbol& symbol = symbols[i];
    if (symbol.rank != rank) continue;
    Scratch::Symbol& absorbed = symbols[symbol.next];
    absorbed.rank = kNoRank;
    symbol.token = merged_[rank];
    symbol.next = absorbed.next;
    if (symbol.next != kEnd) symbols[symbol.next].previous = i;
    if (update_rank(i)) std::push_heap(queue.begin(), queue.end(), std::greater<>());
    if (symbol.previous == kEnd) continue;
    if (update_rank(symbol.previous)) std::push_heap(queue.begin(), queue.end(), std::greater<>());
  }
  for (uint32_t i = 0; i != kEnd; i = symbols[i].next) ids.push_back(symbols[i].token);
}

}  // namespace fathom::engine
