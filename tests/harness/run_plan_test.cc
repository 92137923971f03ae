// The parameters that tell two runs apart: what can change an answer or a verdict, and nothing else.
#include "harness/run_plan.h"

#include <gtest/gtest.h>

namespace fathom::harness {
namespace {

TEST(RunPlan, WhatCanChangeAVerdictIsAParameter) {
  const std::string usual = parameters_json(RunPlan());
  RunPlan plan;
  plan.sandbox.timing = sandbox::Timing::kReference;
  EXPECT_NE(parameters_json(plan), usual);
  plan = RunPlan();
  plan.sandbox.limits.cpu_s = 5;
  EXPECT_NE(parameters_json(plan), usual);
}

TEST(RunPlan, WhatCannotChangeAVerdictIsNone) {
  const std::string usual = parameters_json(RunPlan());
  RunPlan plan;
  plan.sandbox.level = sandbox::Level::kBwrap;
  plan.sandbox.n_workers = 7;
  plan.sandbox.nice = 10;
  plan.skip_unavailable = true;
  EXPECT_EQ(parameters_json(plan), usual);
}

}  // namespace
}  // namespace fathom::harness
