// The engine against the float64 reference over seeded random configurations that take every branch of the
// model, each as one prefill, as prefix and continuation, and in both forms of attention.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/engine/agreement.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

class Draw {
 public:
  explicit Draw(uint64_t seed) : engine_(seed) {}
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
  }
  bool coin() { return between(0, 1) == 1; }
  template <typename T>
  T one_of(std::initializer_list<T> values) {
    return *(values.begin() + between(0, static_cast<int64_t>(values.size()) - 1));
  }

 private:
  std::mt19937_64 engine_;  // its sequence is fixed by the standard
};

json random_config(Draw& draw) {
  json c = golden::config('A');
  const int64_t heads = draw.between(1, 6);
  c.update({{"vocab_size", draw.between(40, 150)},
            {"hidden_size", draw.between(24, 90)},
            {"num_hidden_layers", draw.between(1, 4)},
            {"num_attention_heads", heads},
            {"num_key_value_heads", heads},
            {"q_lora_rank", draw.coin() ? json(draw.between(8, 40)) : json(nullptr)},
            {"kv_lora_rank", draw.between(8, 48)},
            {"qk_nope_head_dim", draw.between(3, 24)},
            {"qk_rope_head_dim", 2 * draw.between(1, 8)},
            {"v_head_dim", draw.between(3, 40)},
            {"intermediate_size", draw.between(10, 120)},
            {"moe_intermediate_size", draw.between(10, 60)},
            {"n_shared_experts", draw.between(0, 2)},
            {"first_k_dense_replace", draw.between(0, 2)},
            {"moe_layer_freq", draw.between(1, 2)},
            {"norm_topk_prob", draw.coin()},
            {"routed_scaling_factor", draw.one_of({1.0, 2.5, 16.0})},
            {"rms_norm_eps", draw.one_of({1e-6, 1e-5})},
            {"rope_theta", draw.one_of({10000, 500})},
            {"attention_bias", draw.between(0, 3) == 0},
            {"tie_word_embeddings", draw.between(0, 3) == 0}});
  const int64_t group_size = draw.between(2, 6);
  const int64_t groups = draw.coin() ? 1 : draw.between(2, 4);
  const int64_t kept = draw.between(1, groups);
  c.update({{"topk_method", groups == 1 ? "greedy" : "group_limited_greedy"},
            {"n_routed_experts", groups * group_size},
            {"n_group", groups},
            {"topk_group", kept},
            {"num_experts_per_tok", draw.between(1, std::min<int64_t>(kept * group_size, 5))}});
  if (draw.between(0, 3) == 0) {
    c["rope_scaling"] = nullptr;
    return c;
  }
  json& yarn = c["rope_scaling"];
  yarn.update({{"factor", draw.one_of({2, 4, 40})},
               {"original_max_position_embeddings", draw.one_of({8, 16, 32, 4096})}});
  yarn.erase("mscale");
  yarn.erase("mscale_all_dim");
  if (draw.coin()) yarn["mscale"] = draw.one_of({0.707, 1.0});
  if (draw.coin()) yarn["mscale_all_dim"] = draw.one_of({0.707, 1.0});
  return c;
}

std::vector<TokenId> random_ids(Draw& draw, int64_t n, int64_t vocab_size) {
  std::vector<TokenId> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(static_cast<TokenId>(draw.between(0, vocab_size - 1)));
  return ids;
}

/// One configuration, one sequence; everything is held against one evaluation of the reference.
void check(const json& config, Draw& draw, int64_t n_tokens, Tally& tally) {
  SCOPED_TRACE(config.dump());
  const kernels::Dtype dtype =
      draw.one_of({kernels::Dtype::kF32, kernels::Dtype::kBF16, kernels::Dtype::kF16});
  TinyModel model(config, {.dtype = dtype});
  const std::vector<TokenId> ids = random_ids(draw, n_tokens, model.config().vocab_size);
  const ReferenceScores truth = ReferenceModel(*model.checkpoint()).score(ids);
  for (AttentionForm form : {AttentionForm::kExpanded, AttentionForm::kAbsorbed}) {
    SCOPED_TRACE(form == AttentionForm::kExpanded ? "expanded" : "absorbed");
    const Scores whole = model.score(ids, {.form = form});
    expect_agreement(whole, truth, tally);
    const int64_t prefix = draw.between(1, n_tokens);
    const Scores parts = model.score(ids, {.form = form, .chunks = {prefix, 1, 2}});
    EXPECT_EQ(parts.logprobs, whole.logprobs) << "prefix of " << prefix;
    EXPECT_EQ(parts.argmax, whole.argmax);
    EXPECT_EQ(parts.routes, whole.routes);
  }
}

void report(const Tally& tally) {
  tally.expect_few_exclusions();
  ::testing::Test::RecordProperty("max_logprob_difference", std::to_string(tally.max_difference));
  ::testing::Test::RecordProperty("excluded", std::to_string(tally.excluded));
  ::testing::Test::RecordProperty("positions", std::to_string(tally.positions));
}

void check_many(uint64_t first_seed, int n, int64_t least, int64_t most) {
  Tally tally;
  for (uint64_t seed = first_seed; seed < first_seed + static_cast<uint64_t>(n); ++seed) {
    Draw draw(seed);
    const json config = random_config(draw);
    check(config, draw, draw.between(least, most), tally);
  }
  report(tally);
}

TEST(RandomConfigs, AgreeWithTheReferenceUpTo64Tokens) {
  check_many(1000, 40, 1, 64);
}

TEST(RandomConfigs, AgreeWithTheReferenceUpTo300Tokens) {
  check_many(2000, 6, 120, 300);
}

// Past the original length of YaRN and through 71 cache blocks. Small: the reference is quadratic and slow.
TEST(RandomConfigs, AgreeWithTheReferenceAt4500Tokens) {
  json config = golden::config('A');
  config.update({{"num_hidden_layers", 2}, {"num_attention_heads", 2}, {"num_key_value_heads", 2}});
  config["rope_scaling"]["original_max_position_embeddings"] = 1024;
  Tally tally;
  Draw draw(3000);
  check(config, draw, 4500, tally);
  report(tally);
}

}  // namespace
}  // namespace fathom::engine
