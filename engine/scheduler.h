// Scheduler: requests in, forward passes over many of them at a time, completions out.
//
// A step is one forward pass: a token for every generation under way, then pieces of prompts and of scored
// continuations until the rows are used up. A request is admitted when the cache has room for the longest it
// may become, so nothing is ever preempted; what its prompt has in common with an earlier one is taken from
// the prefix tree, and one whose beginning is being computed right now waits for it. None of this can change
// a result: a row's bits depend on its own sequence and form alone (docs/numerics.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/forward.h"
#include "engine/latent_cache.h"
#include "engine/prefix_tree.h"
#include "engine/request_queue.h"
#include "engine/stop_text.h"

namespace fathom::engine {

/// What a scheduler has done so far and what it holds now.
struct SchedulerCounters {
  int64_t prompt_tokens = 0;        ///< asked: prompts and contexts of the admitted requests
  int64_t cached_tokens = 0;        ///< of those, taken from the prefix tree
  int64_t fed_prompt_tokens = 0;    ///< the others, computed so far
  int64_t continuation_tokens = 0;  ///< fed to score what comes after them
  int64_t generated_tokens = 0;
  int64_t n_steps = 0;
  int64_t n_mixed_steps = 0;       ///< of those, with generated tokens beside prompts or continuations
  int64_t n_forgotten_blocks = 0;  ///< of the prefix tree, for want of room
  int64_t n_waiting = 0;
  int64_t n_running = 0;
  int64_t blocks_total = 0;
  int64_t blocks_used = 0;  ///< by sequences and by the prefix tree
};

class Scheduler {
 public:
  struct Model {
    Forward* forward = nullptr;
    LatentCache* cache = nullptr;
    kernels::Stream stream;
    const Tokenizer* tokenizer = nullptr;  ///< may be null: then generations have no text
    std::span<const TokenId> eos_ids;
    AttentionForm scored = AttentionForm::kExpanded;     ///< of prompts and continuations
    AttentionForm generated = AttentionForm::kAbsorbed;  ///< of generated tokens
    bool share_prompts = true;
  };
  /// Borrows what the model points to.
  explicit Scheduler(const Model& model);
  ~Scheduler();

  /// The request's ids are in the vocabulary, and its longest sequence fits the cache.
  void submit(Request request);
  /// Nothing waits, runs or is to be taken.
  bool idle() const { return queue_.empty() && running_.empty() && finished_.empty(); }
  /// Admits what there is room for and makes one forward pass, if anything runs. Throws what the pass throws.
  void step();
  /// A finished request, if there is one.
  std::optional<Completion> take_finished();
  /// Forgets every request: after a failure.
  void drop_all();

  /// Forgets prompts until `n` blocks are free, for a caller that computes by itself; the scheduler is idle.
  void make_room(int64_t n_blocks);

  SchedulerCounters counters() const;

 private:
  struct Running;  // an admitted request
  struct Branch;   // a continuation that is being scored
  struct Work;     // one run of a step and what it is for

  void admit();
  RequestQueue::Verdict judge(const WaitingRequest& waiting);
  void start(WaitingRequest waiting);
  /// Tokens that `ids` has in common with the prompt of a request whose prompt is under way.
  int64_t coming_tokens(std::span<const TokenId> ids) const;

  void plan();
  void plan_generated(Running& running);
  void plan_prompt(Running& running);
  void plan_branches(Running& running);
  Branch* open_branch(Running& running);
  bool has_room() const;
  std::span<const TokenId> piece(std::span<const TokenId> ids) const;
  void add_work(const Work& work);

  void read_rows();
  void ask(const Work& work);
  PrefixTree::Match stored_part(const Request& request);
  void keep_prompt(Running& running);
  size_t take_scores(const Work& work, size_t next_row);
  void finish_if_scored(Running& running);
  void draw();
  void add_drawn(Running& running, TokenId id, float logprob);
  template <typename Result>
  void finish(Running& running, Result result);

  Model model_;
  PrefixTree tree_;
  RequestQueue queue_;
  std::list<std::unique_ptr<Running>> running_;  // in order of admission
  std::deque<Completion> finished_;
  SchedulerCounters counters_;

  // the step under way
  std::vector<Work> expanded_, absorbed_;
  int64_t n_planned_rows_ = 0;
  std::vector<Run> runs_;
  std::vector<ScoredRow> scored_rows_;
  std::vector<DrawnRow> drawn_rows_;
  std::vector<Running*> drawing_;  // whose rows drawn_rows_ are
};

}  // namespace fathom::engine
