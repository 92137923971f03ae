#include "engine/scheduler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace fathom::engine {
namespace {

using Clock = std::chrono::steady_clock;

// A shorter common beginning is computed twice rather than waited for.
constexpr int64_t kWorthWaitingFor = 32;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Positions that the request writes at most: what comes after its last token is never fed.
int64_t positions_needed(const Request& request) {
  return std::max(std::ssize(prompt_ids(request)), longest_sequence(request) - 1);
}

}  // namespace

/// A continuation of more than one token. Its own tokens, all but the last, follow the context in the cache:
/// in the request's sequence, or in one of its own that shares the context's full blocks.
struct Scheduler::Branch {
  std::span<const TokenId> ids;
  ContinuationScore* score = nullptr;
  std::unique_ptr<CachedSequence> own;  // null: in the request's sequence
  int64_t n_fed = 0;

  int64_t n_to_feed() const { return std::ssize(ids) - 1; }
};

struct Scheduler::Running {
  Running(WaitingRequest waiting, LatentCache& cache)
      : request(std::move(waiting.request)), submitted(waiting.submitted), sequence(cache) {}

  std::span<const TokenId> prompt() const { return prompt_ids(request); }
  bool prompt_is_fed() const { return n_fed == std::ssize(prompt()); }
  const ScoreRequest* scored() const { return std::get_if<ScoreRequest>(&request.body); }
  const GenerateRequest& generated() const { return std::get<GenerateRequest>(request.body); }

  Request request;
  Clock::time_point submitted;
  Timing timing;
  CachedSequence sequence;
  int64_t n_fed = 0;  // tokens of the prompt whose latents are in the sequence
  bool done = false;  // its completion is out

  // a score request
  ScoreResult scores;
  std::vector<TokenId> first_tokens;  // of each continuation: read off the context's last row
  std::vector<float> first_logprobs;
  size_t next_continuation = 0;  // the first that no branch was opened for
  std::vector<std::unique_ptr<Branch>> branches;

  // a generate request
  GenerateResult text;
  Clock::time_point last_token;
  std::optional<StopText> stop;
};

struct Scheduler::Work {
  Running* running = nullptr;
  Branch* branch = nullptr;  // null: the prompt or a generated token
  Run run;
  int64_t first_row = 0;
};

Scheduler::Scheduler(const Model& model) : model_(model), tree_(*model.cache) {}

Scheduler::~Scheduler() = default;

void Scheduler::submit(Request request) {
  WaitingRequest waiting{std::move(request), Clock::now()};
  const auto* score = std::get_if<ScoreRequest>(&waiting.request.body);
  if (score != nullptr && score->continuations.empty()) {
    finished_.push_back({.id = waiting.request.id, .result = ScoreResult{}, .timing = {}});
  } else if (score == nullptr && std::get<GenerateRequest>(waiting.request.body).max_tokens == 0) {
    finished_.push_back({.id = waiting.request.id, .result = GenerateResult{}, .timing = {}});
  } else {
    queue_.push(std::move(waiting));
  }
}

std::optional<Completion> Scheduler::take_finished() {
  if (finished_.empty()) return std::nullopt;
  Completion completion = std::move(finished_.front());
  finished_.pop_front();
  return completion;
}

void Scheduler::drop_all() {
  queue_ = {};
  running_.clear();
}

void Scheduler::make_room(int64_t n_blocks) {
  FATHOM_CHECK(idle(), "{} requests are under way", running_.size() + queue_.size());
  tree_.free_up(n_blocks);
}

SchedulerCounters Scheduler::counters() const {
  SchedulerCounters counters = counters_;
  counters.n_forgotten_blocks = tree_.n_forgotten();
  counters.n_waiting = static_cast<int64_t>(queue_.size());
  counters.n_running = std::ssize(running_);
  counters.blocks_total = model_.cache->n_blocks();
  counters.blocks_used = counters.blocks_total - model_.cache->n_free();
  return counters;
}

// ---------------------------------------------------------------------------------------------------------
// Admission

void Scheduler::admit() {
  queue_.serve([this](const WaitingRequest& waiting) { return judge(waiting); },
               [this](WaitingRequest waiting) { start(std::move(waiting)); });
}

RequestQueue::Verdict Scheduler::judge(const WaitingRequest& waiting) {
  using Verdict = RequestQueue::Verdict;
  if (std::ssize(running_) == model_.forward->limits().max_runs) return Verdict::kStop;
  const PrefixTree::Match match = stored_part(waiting.request);
  if (coming_tokens(prompt_ids(waiting.request)) - match.n_tokens() >= kWorthWaitingFor)
    return Verdict::kSkip;
  const int64_t n_new = blocks_for(positions_needed(waiting.request)) - std::ssize(match.full_blocks);
  // The match itself must stay: what only the tree refers to, it counts as forgettable.
  int64_t n_held = 0;
  for (int32_t block : match.full_blocks) n_held += model_.cache->n_references(block) == 1 ? 1 : 0;
  const bool fits = n_new + n_held <= model_.cache->n_free() + tree_.n_forgettable();
  FATHOM_CHECK(fits || !running_.empty(), "{} blocks are needed, the cache has {}", n_new,
               model_.cache->n_blocks());
  return fits ? Verdict::kTake : Verdict::kStop;
}

// The last token is always computed: what comes next is read off its row.
PrefixTree::Match Scheduler::stored_part(const Request& request) {
  if (!model_.share_prompts) return {};
  const std::span<const TokenId> ids = prompt_ids(request);
  return tree_.find(ids.first(ids.size() - 1));
}

int64_t Scheduler::coming_tokens(std::span<const TokenId> ids) const {
  int64_t most = 0;
  for (const auto& running : running_) {
    if (running->prompt_is_fed()) continue;
    const auto prompt = running->prompt();
    const size_t n = std::min(ids.size(), prompt.size());
    const auto end = ids.begin() + static_cast<ptrdiff_t>(n);
    most = std::max<int64_t>(most, std::mismatch(ids.begin(), end, prompt.begin()).first - ids.begin());
  }
  return most;
}

void Scheduler::start(WaitingRequest waiting) {
  auto running = std::make_unique<Running>(std::move(waiting), *model_.cache);
  const PrefixTree::Match match = stored_part(running->request);
  running->sequence.share(match.full_blocks);
  const int64_t n_positions = positions_needed(running->request);
  if (match.n_last_tokens > 0) model_.cache->keep({&match.last_block, 1});
  tree_.free_up(blocks_for(n_positions) - std::ssize(match.full_blocks));
  // When memory is so short that the partly shared block is in the way, its tokens are computed again.
  const bool last_is_in_the_way =
      match.n_last_tokens > 0 &&
      model_.cache->n_free() < blocks_for(n_positions) - std::ssize(match.full_blocks);
  if (last_is_in_the_way) {
    model_.cache->give_back({&match.last_block, 1});
    tree_.free_up(blocks_for(n_positions) - std::ssize(match.full_blocks));
  }
  running->sequence.reserve(n_positions);
  running->n_fed = std::ssize(match.full_blocks) * kernels::kBlockTokens;
  if (match.n_last_tokens > 0 && !last_is_in_the_way) {
    model_.cache->copy_positions(model_.stream, match.last_block,
                                 running->sequence.blocks()[match.full_blocks.size()], match.n_last_tokens);
    model_.cache->give_back({&match.last_block, 1});
    running->n_fed += match.n_last_tokens;
  }

  running->timing.queue_s = seconds_since(running->submitted);
  running->timing.prompt_tokens = std::ssize(running->prompt());
  running->timing.cached_tokens = running->n_fed;
  counters_.prompt_tokens += running->timing.prompt_tokens;
  counters_.cached_tokens += running->n_fed;
  if (const ScoreRequest* score = running->scored()) {
    for (const auto& continuation : score->continuations) {
      running->first_tokens.push_back(continuation.front());
      running->scores.continuations.push_back({.logprobs = std::vector<float>(continuation.size())});
    }
    running->first_logprobs.resize(running->first_tokens.size());
  } else {
    running->stop.emplace(model_.tokenizer, running->generated().stop);
  }
  running_.push_back(std::move(running));
}

// ---------------------------------------------------------------------------------------------------------
// One step

void Scheduler::step() {
  admit();
  if (running_.empty()) {
    FATHOM_CHECK(queue_.empty(), "{} requests wait and none runs", queue_.size());
    return;
  }
  plan();
  runs_.clear();
  int64_t row = 0;
  for (std::vector<Work>* part : {&expanded_, &absorbed_}) {
    for (Work& work : *part) {
      work.first_row = row;
      row += std::ssize(work.run.ids);
      runs_.push_back(work.run);
    }
  }
  model_.forward->run(runs_);
  ++counters_.n_steps;
  read_rows();
  running_.remove_if([](const std::unique_ptr<Running>& running) { return running->done; });
}

void Scheduler::plan() {
  expanded_.clear();
  absorbed_.clear();
  n_planned_rows_ = 0;
  for (const auto& running : running_) {
    if (running->scored() == nullptr && running->prompt_is_fed()) plan_generated(*running);
  }
  const int64_t n_generated = n_planned_rows_;
  for (const auto& running : running_) {
    if (!running->prompt_is_fed()) {
      plan_prompt(*running);
    } else if (running->scored() != nullptr) {
      plan_branches(*running);
    }
  }
  if (n_generated > 0 && n_planned_rows_ > n_generated) ++counters_.n_mixed_steps;
  FATHOM_CHECK(n_planned_rows_ > 0, "{} requests run and none has work", running_.size());
}

bool Scheduler::has_room() const {
  const WorkspaceLimits& limits = model_.forward->limits();
  return n_planned_rows_ < limits.max_rows && std::ssize(expanded_) + std::ssize(absorbed_) < limits.max_runs;
}

void Scheduler::add_work(const Work& work) {
  n_planned_rows_ += std::ssize(work.run.ids);
  (work.run.form == AttentionForm::kExpanded ? expanded_ : absorbed_).push_back(work);
}

// As much of `ids` as the step has rows for.
std::span<const TokenId> Scheduler::piece(std::span<const TokenId> ids) const {
  const int64_t n_left = model_.forward->limits().max_rows - n_planned_rows_;
  return ids.first(static_cast<size_t>(std::min(std::ssize(ids), n_left)));
}

void Scheduler::plan_generated(Running& running) {
  if (!has_room()) return;  // a later step's turn
  const std::span<const TokenId> last = std::span(running.text.ids).last(1);
  const int64_t position = std::ssize(running.prompt()) + std::ssize(running.text.ids) - 1;
  add_work({.running = &running, .run = {last, position, running.sequence.blocks(), model_.generated}});
}

void Scheduler::plan_prompt(Running& running) {
  if (!has_room()) return;
  const auto ids = piece(running.prompt().subspan(static_cast<size_t>(running.n_fed)));
  add_work({.running = &running, .run = {ids, running.n_fed, running.sequence.blocks(), model_.scored}});
}

void Scheduler::plan_branches(Running& running) {
  const int64_t n_context = std::ssize(running.prompt());
  const auto add = [&](Branch& branch) {
    const auto ids = piece(
        branch.ids.first(static_cast<size_t>(branch.n_to_feed())).subspan(static_cast<size_t>(branch.n_fed)));
    const CachedSequence& sequence = branch.own ? *branch.own : running.sequence;
    add_work({.running = &running,
              .branch = &branch,
              .run = {ids, n_context + branch.n_fed, sequence.blocks(), model_.scored}});
  };
  for (const auto& branch : running.branches) {
    if (has_room()) add(*branch);
  }
  while (has_room()) {
    Branch* const branch = open_branch(running);
    if (branch == nullptr) return;
    add(*branch);
  }
}

// One branch at a time is in the request's own sequence, over the tokens of the branch before it; the others
// need blocks of their own, which may have to wait.
Scheduler::Branch* Scheduler::open_branch(Running& running) {
  const ScoreRequest& request = *running.scored();
  size_t& i = running.next_continuation;
  while (i < request.continuations.size() && request.continuations[i].size() == 1) ++i;
  if (i == request.continuations.size()) return nullptr;
  auto branch = std::make_unique<Branch>();
  branch->ids = request.continuations[i];
  branch->score = &running.scores.continuations[i];
  const bool home_is_free = std::all_of(running.branches.begin(), running.branches.end(),
                                        [](const auto& other) { return other->own != nullptr; });
  if (!home_is_free) {
    const int64_t n_context = std::ssize(request.context);
    const int64_t n_positions = n_context + branch->n_to_feed();
    const auto n_shared = static_cast<size_t>(n_context / kernels::kBlockTokens);
    const int64_t n_new = blocks_for(n_positions) - static_cast<int64_t>(n_shared);
    tree_.free_up(n_new);
    if (model_.cache->n_free() < n_new) return nullptr;
    branch->own = std::make_unique<CachedSequence>(*model_.cache);
    branch->own->share(running.sequence.blocks().first(n_shared));
    branch->own->reserve(n_positions);
    const int64_t n_partial = n_context % kernels::kBlockTokens;
    if (n_partial > 0) {
      model_.cache->copy_positions(model_.stream, running.sequence.blocks()[n_shared],
                                   branch->own->blocks()[n_shared], n_partial);
    }
  }
  ++i;
  running.branches.push_back(std::move(branch));
  return running.branches.back().get();
}

// ---------------------------------------------------------------------------------------------------------
// What a step's rows say

void Scheduler::read_rows() {
  scored_rows_.clear();
  drawn_rows_.clear();
  drawing_.clear();
  for (const std::vector<Work>* part : {&expanded_, &absorbed_}) {
    for (const Work& work : *part) ask(work);
  }
  model_.forward->score(scored_rows_);
  size_t next_row = 0;
  for (const std::vector<Work>* part : {&expanded_, &absorbed_}) {
    for (const Work& work : *part) next_row = take_scores(work, next_row);
  }
  draw();
}

// Adds the rows of `work` that say something to scored_rows_ or drawn_rows_.
void Scheduler::ask(const Work& work) {
  Running& running = *work.running;
  const int64_t n = std::ssize(work.run.ids);
  if (work.branch != nullptr) {
    for (int64_t i = 0; i < n; ++i) {
      const auto next = static_cast<size_t>(work.branch->n_fed + i + 1);
      scored_rows_.push_back({work.first_row + i, work.branch->ids.subspan(next, 1),
                              std::span(work.branch->score->logprobs).subspan(next, 1)});
    }
    counters_.continuation_tokens += n;
    return;
  }
  const int64_t last_row = work.first_row + n - 1;
  if (!running.prompt_is_fed()) {
    running.n_fed += n;
    counters_.fed_prompt_tokens += n;
    keep_prompt(running);
    if (!running.prompt_is_fed()) return;
    if (running.scored() != nullptr) {
      // The first token of every continuation comes off the context's last row.
      const auto most = static_cast<size_t>(model_.forward->limits().max_targets);
      for (size_t i = 0; i < running.first_tokens.size(); i += most) {
        const size_t count = std::min(most, running.first_tokens.size() - i);
        scored_rows_.push_back({last_row, std::span(running.first_tokens).subspan(i, count),
                                std::span(running.first_logprobs).subspan(i, count)});
      }
      return;
    }
  }
  const Sampling& sampling = running.generated().sampling;
  drawing_.push_back(&running);
  drawn_rows_.push_back(
      {.row = last_row,
       .sampling = {.temperature = static_cast<float>(sampling.temperature),
                    .top_p = static_cast<float>(sampling.top_p),
                    .seed = sampling.seed,
                    .position = std::ssize(running.prompt()) + std::ssize(running.text.ids)}});
}

// A block that is not full yet is still being written; it comes into the tree with the prompt's end.
void Scheduler::keep_prompt(Running& running) {
  if (!model_.share_prompts) return;
  const int64_t n =
      running.prompt_is_fed() ? running.n_fed : running.n_fed / kernels::kBlockTokens * kernels::kBlockTokens;
  tree_.insert(running.prompt().first(static_cast<size_t>(n)), running.sequence);
}

// Takes the answers to what ask() asked for `work`, from scored_rows_[next_row] on; returns where they end.
size_t Scheduler::take_scores(const Work& work, size_t next_row) {
  Running& running = *work.running;
  if (work.branch != nullptr) {
    Branch& branch = *work.branch;
    for (size_t i = 0; i < work.run.ids.size(); ++i) {
      const ScoredRow& row = scored_rows_[next_row++];
      branch.score->is_greedy = branch.score->is_greedy && row.argmax == row.targets[0];
    }
    branch.n_fed += std::ssize(work.run.ids);
    if (branch.n_fed == branch.n_to_feed()) {
      std::erase_if(running.branches, [&](const auto& other) { return other.get() == &branch; });
    }
  } else if (running.scored() != nullptr && running.prompt_is_fed()) {
    const TokenId argmax = scored_rows_[next_row].argmax;
    const auto most = static_cast<size_t>(model_.forward->limits().max_targets);
    next_row += (running.first_tokens.size() + most - 1) / most;
    for (size_t i = 0; i < running.first_tokens.size(); ++i) {
      running.scores.continuations[i].logprobs[0] = running.first_logprobs[i];
      running.scores.continuations[i].is_greedy = running.first_tokens[i] == argmax;
    }
  } else {
    return next_row;
  }
  finish_if_scored(running);
  return next_row;
}

void Scheduler::finish_if_scored(Running& running) {
  const auto& continuations = running.scored()->continuations;
  const auto is_open = [](const std::vector<TokenId>& ids) { return ids.size() > 1; };
  if (!running.branches.empty() ||
      std::any_of(continuations.begin() + static_cast<ptrdiff_t>(running.next_continuation),
                  continuations.end(), is_open)) {
    return;
  }
  for (ContinuationScore& score : running.scores.continuations) {
    for (float logprob : score.logprobs) score.sum_logprob += logprob;
  }
  running.timing.first_token_s = seconds_since(running.submitted);
  finish(running, std::move(running.scores));
}

void Scheduler::draw() {
  const auto most = static_cast<size_t>(model_.forward->limits().max_head_rows);
  for (size_t i = 0; i < drawn_rows_.size(); i += most) {
    model_.forward->sample(std::span(drawn_rows_).subspan(i, std::min(most, drawn_rows_.size() - i)));
  }
  for (size_t i = 0; i < drawn_rows_.size(); ++i) {
    add_drawn(*drawing_[i], drawn_rows_[i].id, drawn_rows_[i].logprob);
  }
}

void Scheduler::add_drawn(Running& running, TokenId id, float logprob) {
  const GenerateRequest& request = running.generated();
  GenerateResult& text = running.text;
  const Clock::time_point now = Clock::now();
  if (text.ids.empty()) {
    running.timing.first_token_s = std::chrono::duration<double>(now - running.submitted).count();
  } else {
    const auto gap = std::chrono::duration_cast<std::chrono::microseconds>(now - running.last_token);
    running.timing.inter_token_us.push_back(gap.count());
  }
  running.last_token = now;
  text.ids.push_back(id);
  text.logprobs.push_back(logprob);
  ++counters_.generated_tokens;
  const auto& eos = model_.eos_ids;
  if (!request.ignore_eos && std::find(eos.begin(), eos.end(), id) != eos.end()) {
    text.finish_reason = FinishReason::kEos;
  } else {
    running.stop->add(id);
    if (running.stop->found()) {
      text.finish_reason = FinishReason::kStop;
    } else if (std::ssize(text.ids) < request.max_tokens) {
      return;
    }
  }
  text.text = running.stop->text();
  finish(running, std::move(text));
}

template <typename Result>
void Scheduler::finish(Running& running, Result result) {
  running.timing.total_s = seconds_since(running.submitted);
  finished_.push_back({running.request.id, std::move(result), std::move(running.timing)});
  running.done = true;
}

}  // namespace fathom::engine
