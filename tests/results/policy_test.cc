#include "results/judging/policy.h"

#include <gtest/gtest.h>

#include "results/judging/paired_runs.h"
#include "tests/expect_error.h"

namespace fathom::results {
namespace {

TEST(Policy, AnEmptyObjectIsTheDefault) {
  EXPECT_EQ(canonical_policy(parse_policy("{}", "p.json")), canonical_policy(Policy{}));
  EXPECT_EQ(
      canonical_policy(Policy{}),
      R"({"alpha":0.05,"families":null,"family_margin":0.05,"floor":0.002,"margin":0.01,"max_cut_rise":0.01,)"
      R"("max_slowdown":null,"max_unscored":0.005,"min_paired":0.995,"primary":null})");
}

TEST(Policy, EveryKeyIsReadAndHashed) {
  const std::string text = R"({
    "alpha": 0.1, "margin": 0.02, "floor": 0.001, "family_margin": 0.03, "min_paired": 0.9, "max_unscored": 0.1,
    "max_cut_rise": 0.2, "max_slowdown": 0.05,
    "primary": [{"scope": "group:mmlu", "metric": "acc"},
                {"scope": "task:gsm8k", "metric": "exact_match", "filter": "strict-match", "margin": 0.03, "floor": 0}],
    "families": [{"group": "mmlu", "margin": 0.1}]})";
  const Policy policy = parse_policy(text, "p.json");
  EXPECT_EQ(policy.margin, 0.02);
  EXPECT_EQ(policy.floor, 0.001);
  EXPECT_EQ(policy.family_margin, 0.03);
  EXPECT_EQ(policy.min_paired, 0.9);
  EXPECT_EQ(policy.max_unscored, 0.1);
  EXPECT_EQ(policy.max_cut_rise, 0.2);
  EXPECT_EQ(policy.alpha, 0.1);
  EXPECT_EQ(policy.max_slowdown, 0.05);
  ASSERT_EQ(policy.primary->size(), 2u);
  EXPECT_EQ(policy.primary->at(0).filter, "none");
  EXPECT_FALSE(policy.primary->at(0).margin);
  EXPECT_EQ(policy.primary->at(1).margin, 0.03);
  EXPECT_EQ(policy.primary->at(1).floor, 0.0);
  EXPECT_EQ(policy.families->at(0).margin, 0.1);
  EXPECT_EQ(canonical_policy(parse_policy(canonical_policy(policy), "again")), canonical_policy(policy));
  EXPECT_NE(policy_sha256(policy), policy_sha256(Policy{}));
}

TEST(Policy, WhatIsWrongIsNamed) {
  const auto refused = [](const std::string& text, std::initializer_list<std::string_view> words) {
    testing::expect_bad_input([&] { parse_policy(text, "p.json"); }, words);
  };
  refused(R"({"margins": 0.01})", {"p.json", "unknown key \"margins\"", "known are alpha, margin"});
  refused(R"({"margin": "1 %"})", {"\"margin\"", "a number from 0 to 1", "\"1 %\""});
  refused(R"({"margin": 1.5})", {"\"margin\"", "1.5"});
  refused(R"({"alpha": 0})", {"\"alpha\""});
  refused(R"([])", {"expected a JSON object"});
  refused(R"({"primary": {}})", {"\"primary\"", "expected a list"});
  refused(R"({"primary": [{"metric": "acc"}]})", {"primary[0]", "\"scope\" is missing"});
  refused(R"({"primary": [{"scope": "mmlu", "metric": "acc"}]})", {"group:NAME"});
  refused(R"({"primary": [{"scope": "task:a", "metric": "acc", "margn": 1}]})", {"primary[0]", "\"margn\""});
  refused(R"({"primary": [{"scope": "task:a", "metric": "gold_logprob"}]})",
          {"gold_logprob", "\"margin\" is missing"});
  refused(R"({"families": [{"group": 3}]})", {"families[0]", "\"group\""});
  refused(R"({"primary": [], "families": []})", {"nothing would be judged"});
  refused(R"({"margin": 0.1, "margin": 0.2})", {"margin"});
  refused("{", {"p.json"});
}

}  // namespace
}  // namespace fathom::results
