// Every bug of deepseek_v2.md 10.4: the float64 reference, broken that way, shows the published signature;
// the engine agrees with the whole one and not with the broken one.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/engine/reference_model.h"
#include "tests/engine/tiny_model.h"

namespace fathom::engine {
namespace {

constexpr double kTrueA = -49.900493;
constexpr double kTrueC = -269.095372;

struct Mutant {
  const char* name;
  Mutation mutation;
  double sum_a;
  double sum_c;
  int first_a;
  int first_c;
};

// The published sums have four digits behind the point.
const Mutant kMutants[] = {
    {"NoMscale", Mutation::kNoMscale, -52.3765, -266.1809, 1, 1},
    {"MscaleOnce", Mutation::kMscaleOnce, -52.0689, -267.4482, 1, 1},
    {"PlainRope", Mutation::kPlainRope, -49.8536, -265.9520, 1, 1},
    {"LinearScaling", Mutation::kLinearScaling, -55.1077, -270.2021, 1, 1},
    {"RampInverted", Mutation::kRampInverted, -55.1368, -277.2661, 1, 1},
    {"HalfSplitRotation", Mutation::kHalfSplitRotation, -54.4198, -269.5442, 1, 1},
    {"QueryRopeFirst", Mutation::kQueryRopeFirst, -56.2022, -270.9363, 1, 1},
    {"ScaleOfNope", Mutation::kScaleOfNope, -50.5241, -266.3955, 1, 1},
    {"GroupTopTwoSum", Mutation::kGroupTopTwoSum, -50.1541, -272.4293, 1, 0},
    {"GroupsStrided", Mutation::kGroupsStrided, -55.1684, -245.7264, 0, 0},
    {"NoGroupLimit", Mutation::kNoGroupLimit, -49.6884, -269.6123, 0, 0},
    {"RenormalisedTopK", Mutation::kRenormalisedTopK, -49.8756, -269.8260, 0, 0},
    {"NoRoutedScaling", Mutation::kNoRoutedScaling, -55.9631, -252.1217, 0, 0},
    {"NoSharedExperts", Mutation::kNoSharedExperts, -49.7664, -267.7944, 0, 0},
    {"GateUpSwapped", Mutation::kGateUpSwapped, -50.1891, -271.7320, 0, 0},
    {"NoLatentNorm", Mutation::kNoLatentNorm, -49.8036, -277.0475, 0, 0},
    {"KvSplitAllKeysFirst", Mutation::kKvSplitAllKeysFirst, -55.0125, -254.7284, 0, 0},
};

/// What all mutants are compared with, computed once.
struct Truth {
  explicit Truth(char which)
      : model(which),
        ids(golden::input_ids(which == 'C' ? 48 : 11)),
        reference(ReferenceModel(*model.checkpoint()).score(ids)),
        engine(model.score(ids)) {}
  TinyModel model;
  std::vector<TokenId> ids;
  ReferenceScores reference;
  Scores engine;
};

const Truth& truth(char which) {
  static const Truth a('A');
  static const Truth c('C');
  return which == 'A' ? a : c;
}

double max_logit_change(const ReferenceScores& a, const ReferenceScores& b, size_t position) {
  double change = 0.0;
  for (size_t v = 0; v < a.logits[position].size(); ++v) {
    change = std::max(change, std::abs(a.logits[position][v] - b.logits[position][v]));
  }
  return change;
}

double max_logprob_difference(const Scores& engine, const ReferenceScores& reference) {
  double difference = 0.0;
  for (size_t i = 1; i < engine.logprobs.size(); ++i) {
    difference = std::max(difference, std::abs(engine.logprobs[i] - reference.logprobs[i]));
  }
  return difference;
}

class Mutants : public ::testing::TestWithParam<Mutant> {
 protected:
  static void expect_caught(char which, Mutation mutation, double sum, int first) {
    const Truth& t = truth(which);
    const ReferenceScores broken = ReferenceModel(*t.model.checkpoint(), mutation).score(t.ids);
    EXPECT_NEAR(broken.sum(), sum, 6e-5) << which;
    for (int position = 0; position < first; ++position) {
      EXPECT_LT(max_logit_change(broken, t.reference, static_cast<size_t>(position)), 1e-9) << which;
    }
    EXPECT_GT(max_logit_change(broken, t.reference, static_cast<size_t>(first)), 1e-3) << which;
    EXPECT_LT(max_logprob_difference(t.engine, t.reference), 2e-5) << which;
    EXPECT_GT(max_logprob_difference(t.engine, broken), 1e-2) << which;
  }
};

TEST_P(Mutants, TheSignatureIsThePublishedOneAndTheEngineDoesNotHaveIt) {
  const Mutant& mutant = GetParam();
  expect_caught('A', mutant.mutation, mutant.sum_a, mutant.first_a);
  expect_caught('C', mutant.mutation, mutant.sum_c, mutant.first_c);
}

INSTANTIATE_TEST_SUITE_P(Reference, Mutants, ::testing::ValuesIn(kMutants),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(MutantsOfTheReference, TheWholeReferenceGivesThePublishedSums) {
  EXPECT_NEAR(truth('A').reference.sum(), kTrueA, 1e-6);
  EXPECT_NEAR(truth('C').reference.sum(), kTrueC, 1e-6);
}

// A tenfold eps moves logits by 1e-4: far beyond the reference's own error, at the limit of fp32. Small
// inputs show it to the engine too: RmsNorm.MatchesItsScalarTwinWithAndWithoutTheResidual and the norm_eps
// golden.
TEST(MutantsOfTheReference, EpsOneTooLarge) {
  for (const auto& [which, sum] : {std::pair<char, double>{'A', -49.9006}, {'C', -269.0954}}) {
    const Truth& t = truth(which);
    const ReferenceScores broken =
        ReferenceModel(*t.model.checkpoint(), Mutation::kEpsOneTooLarge).score(t.ids);
    EXPECT_NEAR(broken.sum(), sum, 6e-5);
    EXPECT_GT(max_logit_change(broken, t.reference, 0), 1e-6);
    EXPECT_LT(max_logprob_difference(t.engine, t.reference), max_logprob_difference(t.engine, broken));
  }
}

// Rotations are relative, so logits cannot show a shifted position; the cached key can.
TEST(MutantsOfTheReference, PositionsFromOne) {
  for (char which : {'A', 'C'}) {
    TinyModel model(which);
    const std::vector<TokenId> ids = golden::input_ids(11);
    const ReferenceScores whole = ReferenceModel(*model.checkpoint()).score(ids);
    const ReferenceScores broken =
        ReferenceModel(*model.checkpoint(), Mutation::kPositionsFromOne).score(ids);
    EXPECT_NEAR(broken.sum(), whole.sum(), 1e-6);  // angles are fp32
    model.score(ids);
    const ModelConfig& config = model.config();
    const auto* cache = static_cast<const float*>(model.cache().layer(0).data);
    double to_whole = 0.0, to_broken = 0.0;
    for (size_t t = 0; t < ids.size(); ++t) {
      for (size_t i = 0; i < static_cast<size_t>(config.qk_rope_head_dim); ++i) {
        const double key = cache[t * static_cast<size_t>(config.latent_dim()) +
                                 static_cast<size_t>(config.kv_lora_rank) + i];
        to_whole = std::max(to_whole, std::abs(key - whole.rope_keys[t][i]));
        to_broken = std::max(to_broken, std::abs(key - broken.rope_keys[t][i]));
      }
    }
    EXPECT_LT(to_whole, 1e-5) << which;
    EXPECT_GT(to_broken, 1e-1) << which;
  }
}

}  // namespace
}  // namespace fathom::engine
