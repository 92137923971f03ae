// PrefixTree: the prompts whose latents are in the cache, so that what prompts share is computed once.
//
// A radix tree over token ids with one cache block a node: 64 ids, or fewer where a prompt ends. A path from
// the root spells a prompt's beginning. The tree has a reference of its own to each block and forgets the
// least recently used leaves when room is needed; a block that a sequence refers to is never forgotten.
// Only what prompts wrote comes in: generated tokens take another form of attention and have other bits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/latent_cache.h"
#include "engine/token.h"

namespace fathom::engine {

class PrefixTree {
 public:
  /// Borrows the cache.
  explicit PrefixTree(LatentCache& cache);
  ~PrefixTree();
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  struct Match {
    std::vector<int32_t> full_blocks;
    int32_t last_block = -1;    ///< holds the further positions, the first ones of the block
    int64_t n_last_tokens = 0;  ///< 0: there is no last block

    int64_t n_tokens() const {
      return static_cast<int64_t>(full_blocks.size()) * kernels::kBlockTokens + n_last_tokens;
    }
  };

  /// The longest beginning of `ids` that the tree holds. The blocks stay until the next free_up unless they
  /// are kept.
  Match find(std::span<const TokenId> ids);

  /// Adds a prompt's first n_tokens ids, whose latents `sequence` holds. Full blocks that the tree holds
  /// already replace the sequence's own, so that equal contents are stored once.
  void insert(std::span<const TokenId> ids, CachedSequence& sequence);

  /// How many blocks free_up could free at most.
  int64_t n_forgettable() const;
  /// Forgets leaves until the cache has `n_free` free blocks or no leaf is left to forget.
  void free_up(int64_t n_free);

  int64_t n_blocks() const { return n_nodes_; }
  int64_t n_forgotten() const { return n_forgotten_; }

 private:
  struct Node;
  using Children = std::map<std::vector<TokenId>, std::unique_ptr<Node>>;
  struct Node {
    Node* parent = nullptr;
    Children children;
    Children::iterator self;  // in the parent's children
    int32_t block = -1;
    uint64_t last_used = 0;
  };

  /// The child of `node` with the longest beginning in common with `ids`, and how long it is.
  std::pair<Children::iterator, size_t> closest_child(Node& node, std::span<const TokenId> ids);
  Node& add_child(Node& node, std::span<const TokenId> ids, int32_t block);
  void forget(Node& leaf);
  template <typename Visit>
  static void for_each_node(const Node& node, const Visit& visit);

  LatentCache& cache_;
  Node root_;
  int64_t n_nodes_ = 0;
  int64_t n_forgotten_ = 0;
  uint64_t clock_ = 0;
};

}  // namespace fathom::engine
