#include "engine/prefix_tree.h"

#include <algorithm>
#include <queue>
#include <utility>

#include "base/error.h"

namespace fathom::engine {
namespace {

size_t common_beginning(std::span<const TokenId> a, std::span<const TokenId> b) {
  const size_t n = std::min(a.size(), b.size());
  return static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(n), b.begin()).first - a.begin());
}

std::span<const TokenId> first_block(std::span<const TokenId> ids) {
  return ids.first(std::min(ids.size(), static_cast<size_t>(kernels::kBlockTokens)));
}

}  // namespace

PrefixTree::PrefixTree(LatentCache& cache) : cache_(cache) {}

PrefixTree::~PrefixTree() {
  for_each_node(root_, [this](const Node& node) { cache_.give_back({&node.block, 1}); });
}

template <typename Visit>
void PrefixTree::for_each_node(const Node& node, const Visit& visit) {
  for (const auto& [ids, child] : node.children) {
    visit(*child);
    for_each_node(*child, visit);
  }
}

// In lexicographic order the longest common beginning is with a neighbour.
std::pair<PrefixTree::Children::iterator, size_t> PrefixTree::closest_child(Node& node,
                                                                            std::span<const TokenId> ids) {
  const std::span<const TokenId> wanted = first_block(ids);
  const auto after = node.children.lower_bound(std::vector<TokenId>(wanted.begin(), wanted.end()));
  std::pair<Children::iterator, size_t> best{node.children.end(), 0};
  if (after != node.children.end()) best = {after, common_beginning(after->first, wanted)};
  if (after != node.children.begin()) {
    const auto before = std::prev(after);
    const size_t n = common_beginning(before->first, wanted);
    if (n > best.second) best = {before, n};
  }
  return best;
}

PrefixTree::Match PrefixTree::find(std::span<const TokenId> ids) {
  Match match;
  Node* node = &root_;
  ++clock_;
  while (!ids.empty()) {
    const auto [child, n] = closest_child(*node, ids);
    if (n == 0) break;
    node = child->second.get();
    node->last_used = clock_;
    if (n < static_cast<size_t>(kernels::kBlockTokens)) {
      match.last_block = node->block;
      match.n_last_tokens = static_cast<int64_t>(n);
      break;
    }
    match.full_blocks.push_back(node->block);
    ids = ids.subspan(n);
  }
  return match;
}

void PrefixTree::insert(std::span<const TokenId> ids, CachedSequence& sequence) {
  FATHOM_CHECK(blocks_for(static_cast<int64_t>(ids.size())) <= static_cast<int64_t>(sequence.blocks().size()),
               "{} ids in {} blocks", ids.size(), sequence.blocks().size());
  Node* node = &root_;
  ++clock_;
  for (size_t i = 0; !ids.empty(); ++i) {
    const std::span<const TokenId> own = first_block(ids);
    const auto [child, n] = closest_child(*node, ids);
    if (n < own.size()) {
      node = &add_child(*node, own, sequence.blocks()[i]);
    } else {
      node = child->second.get();
      const bool full = own.size() == static_cast<size_t>(kernels::kBlockTokens);
      if (full && node->block != sequence.blocks()[i]) sequence.replace(i, node->block);
    }
    node->last_used = clock_;
    ids = ids.subspan(own.size());
  }
}

PrefixTree::Node& PrefixTree::add_child(Node& node, std::span<const TokenId> ids, int32_t block) {
  cache_.keep({&block, 1});
  const auto [at, is_new] =
      node.children.emplace(std::vector<TokenId>(ids.begin(), ids.end()), std::make_unique<Node>());
  FATHOM_CHECK(is_new, "a block of {} ids is in the tree twice", ids.size());
  Node& child = *at->second;
  child.parent = &node;
  child.self = at;
  child.block = block;
  ++n_nodes_;
  return child;
}

void PrefixTree::forget(Node& leaf) {
  cache_.give_back({&leaf.block, 1});
  leaf.parent->children.erase(leaf.self);
  --n_nodes_;
  ++n_forgotten_;
}

// Sequences refer to whole paths, so what hangs below a block that only the tree refers to is only the
// tree's.
int64_t PrefixTree::n_forgettable() const {
  int64_t n = 0;
  for_each_node(root_, [&](const Node& node) { n += cache_.n_references(node.block) == 1 ? 1 : 0; });
  return n;
}

void PrefixTree::free_up(int64_t n_free) {
  if (cache_.n_free() >= n_free) return;
  const auto later = [](const Node* a, const Node* b) { return a->last_used > b->last_used; };
  std::priority_queue<Node*, std::vector<Node*>, decltype(later)> leaves(later);
  const auto consider = [&](Node& node) {
    if (node.children.empty() && cache_.n_references(node.block) == 1) leaves.push(&node);
  };
  for_each_node(root_, consider);
  while (cache_.n_free() < n_free && !leaves.empty()) {
    Node* const leaf = leaves.top();
    leaves.pop();
    Node* const parent = leaf->parent;
    forget(*leaf);
    if (parent != &root_) consider(*parent);
  }
}

}  // namespace fathom::engine
