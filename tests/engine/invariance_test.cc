// What must not change a bit of the engine's results: chunks, threads, neighbours in the batch, shared
// blocks.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/engine/agreement.h"

namespace fathom::engine {
namespace {

constexpr AttentionForm kForms[] = {AttentionForm::kExpanded, AttentionForm::kAbsorbed};

// More than three cache blocks, and past config C's original length many times over.
std::vector<TokenId> long_ids() {
  return golden::input_ids(200);
}

TEST(Invariance, ChunksDoNotChangeABit) {
  for (char which : {'A', 'B', 'C', 'D'}) {
    TinyModel model(which);
    const std::vector<TokenId> ids = long_ids();
    for (AttentionForm form : kForms) {
      const Scores whole = model.score(ids, {.form = form});
      for (int64_t chunk : {1, 2, 7, 64, 65, 199}) {
        const Scores cut = model.score(
            ids, {.form = form, .chunks = std::vector<int64_t>(static_cast<size_t>(200 / chunk), chunk)});
        EXPECT_EQ(cut.logprobs, whole.logprobs) << which << " in chunks of " << chunk;
        EXPECT_EQ(cut.argmax, whole.argmax);
        EXPECT_EQ(cut.routes, whole.routes);
      }
    }
  }
}

TEST(Invariance, ThreadsDoNotChangeABit) {
  const std::vector<TokenId> ids = long_ids();
  for (char which : {'A', 'B'}) {
    TinyModel one(golden::config(which), {}, 1);
    for (AttentionForm form : kForms) {
      const Scores expected = one.score(ids, {.form = form});
      for (int n_threads : {2, 3, 4}) {
        TinyModel model(golden::config(which), {}, n_threads);
        EXPECT_EQ(model.score(ids, {.form = form}).logprobs, expected.logprobs) << n_threads << " threads";
      }
    }
  }
}

TEST(Invariance, TheTwoFormsAgreeWithinTheirTolerance) {
  for (char which : {'A', 'B', 'C', 'D'}) {
    TinyModel model(which);
    const Scores expanded = model.score(long_ids(), {.form = AttentionForm::kExpanded});
    const Scores absorbed = model.score(long_ids(), {.form = AttentionForm::kAbsorbed});
    EXPECT_LE(max_difference(expanded.logprobs, absorbed.logprobs), 1e-4) << which;
  }
}

TEST(Invariance, StoredDtypesChangeResultsOnlyByRounding) {
  // The golden weights rounded to bf16 and fp16 are other weights, so other results; the reference says
  // which.
  for (kernels::Dtype dtype : {kernels::Dtype::kBF16, kernels::Dtype::kF16}) {
    TinyModel model(golden::config('A'), {.dtype = dtype});
    Tally tally;
    expect_agreement(model.score(golden::input_ids(60)),
                     ReferenceModel(*model.checkpoint()).score(golden::input_ids(60)), tally);
  }
}

/// A sequence in a batch: what is in the cache already, what is fed, and how.
struct Member {
  std::vector<TokenId> ids;  // all of it
  int64_t n_cached;
  AttentionForm form;
};

/// log p of every next id of the fed tokens, and of token 0 after the last.
std::vector<float> read_off(Forward& forward, const Member& member, int64_t first_row) {
  std::vector<TokenId> targets(member.ids.begin() + member.n_cached + 1, member.ids.end());
  targets.push_back(0);
  std::vector<float> logprobs(targets.size());
  std::vector<ScoredRow> rows;
  for (size_t i = 0; i < targets.size(); ++i) {
    rows.push_back({first_row + static_cast<int64_t>(i), std::span(targets).subspan(i, 1),
                    std::span(logprobs).subspan(i, 1)});
  }
  forward.score(rows);
  return logprobs;
}

Run run_of(const Member& member, std::span<const int32_t> blocks) {
  return {std::span(member.ids).subspan(static_cast<size_t>(member.n_cached)), member.n_cached, blocks,
          member.form};
}

void fill_cache(Forward& forward, const Member& member, std::span<const int32_t> blocks) {
  if (member.n_cached == 0) return;
  const Run run{std::span(member.ids).first(static_cast<size_t>(member.n_cached)), 0, blocks,
                AttentionForm::kExpanded};
  forward.run({&run, 1});
}

std::vector<float> alone(TinyModel& model, const Member& member) {
  CachedSequence sequence(model.cache());
  sequence.reserve(static_cast<int64_t>(member.ids.size()));
  fill_cache(model.forward(), member, sequence.blocks());
  const Run run = run_of(member, sequence.blocks());
  model.forward().run({&run, 1});
  return read_off(model.forward(), member, 0);
}

TEST(Invariance, MixedBatchesGiveWhatEachMemberGivesAlone) {
  for (char which : {'A', 'B', 'C'}) {
    TinyModel model(which);
    const std::vector<TokenId> base = long_ids();
    const auto cut = [&](int64_t n, TokenId first) {
      std::vector<TokenId> ids(base.begin(), base.begin() + n);
      ids[0] = first;
      return ids;
    };
    const std::vector<Member> members = {
        {cut(70, 1), 64, AttentionForm::kExpanded},   {cut(130, 2), 0, AttentionForm::kExpanded},
        {cut(3, 3), 0, AttentionForm::kExpanded},     {cut(100, 4), 99, AttentionForm::kExpanded},
        {cut(129, 5), 128, AttentionForm::kAbsorbed}, {cut(65, 6), 64, AttentionForm::kAbsorbed},
        {cut(40, 7), 30, AttentionForm::kAbsorbed},
    };
    std::vector<std::vector<float>> expected;
    for (const Member& member : members) expected.push_back(alone(model, member));

    std::vector<std::unique_ptr<CachedSequence>> sequences;
    std::vector<engine::Run> runs;
    for (const Member& member : members) {
      sequences.push_back(std::make_unique<CachedSequence>(model.cache()));
      sequences.back()->reserve(static_cast<int64_t>(member.ids.size()));
      fill_cache(model.forward(), member, sequences.back()->blocks());
    }
    for (size_t i = 0; i < members.size(); ++i) runs.push_back(run_of(members[i], sequences[i]->blocks()));
    model.forward().run(runs);
    int64_t row = 0;
    for (size_t i = 0; i < members.size(); ++i) {
      EXPECT_EQ(read_off(model.forward(), members[i], row), expected[i]) << which << ", member " << i;
      row += static_cast<int64_t>(runs[i].ids.size());
    }
  }
}

TEST(Invariance, SequencesThatShareBlocksGiveWhatEachGivesAlone) {
  TinyModel model('A');
  const std::vector<TokenId> base = long_ids();
  // Two continuations of the same 128 positions, whose blocks are computed once and named in both tables.
  std::vector<Member> members(
      2, {std::vector<TokenId>(base.begin(), base.begin() + 150), 128, AttentionForm::kExpanded});
  for (size_t t = 128; t < 150; ++t) members[1].ids[t] = static_cast<TokenId>((members[0].ids[t] + 1) % 128);
  CachedSequence shared(model.cache());
  shared.reserve(150);
  fill_cache(model.forward(), members[0], shared.blocks());
  const std::vector<int32_t> first(shared.blocks().begin(), shared.blocks().end());
  std::vector<int32_t> second = first;
  second[2] = model.cache().take();
  const engine::Run runs[] = {run_of(members[0], first), run_of(members[1], second)};
  model.forward().run(runs);
  const std::vector<float> scores[] = {read_off(model.forward(), members[0], 0),
                                       read_off(model.forward(), members[1], 22)};
  model.cache().give_back({&second[2], 1});
  EXPECT_EQ(scores[0], alone(model, members[0]));
  EXPECT_EQ(scores[1], alone(model, members[1]));
}

}  // namespace
}  // namespace fathom::engine
