#include "harness/model_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using ::testing::ElementsAre;

TEST(TrainStep, IsTheNumberAtTheEndOfAStepFolder) {
  EXPECT_EQ(train_step_of("ckpt/step-1000"), 1000);
  EXPECT_EQ(train_step_of("ckpt/global_step2000/"), 2000);
  EXPECT_EQ(train_step_of("checkpoint_5"), 5);
  EXPECT_EQ(train_step_of("Iter_0000070"), 70);
  EXPECT_EQ(train_step_of("DeepSeek-V2"), std::nullopt);  // a version and no step
  EXPECT_EQ(train_step_of("step-"), std::nullopt);
  EXPECT_EQ(train_step_of("step-1000-final"), std::nullopt);
  EXPECT_EQ(train_step_of("step-99999999999999999999"), std::nullopt);
}

TEST(ModelSeries, IsSortedByStepAndHoldsFoldersOnly) {
  const testing::TemporaryFolder folder;
  for (const char* name : {"step-900", "step-1000", "step-20", "other"})
    std::filesystem::create_directory(folder / name);
  std::ofstream(folder / "step-5") << "a file";
  const auto at = [&](const char* name) { return (folder / name).string(); };
  EXPECT_THAT(model_series(at("step-*")), ElementsAre(at("step-20"), at("step-900"), at("step-1000")));
  EXPECT_THAT(model_series(at("other")), ElementsAre(at("other")));
  EXPECT_THAT(model_series(at("missing")), ElementsAre(at("missing")));  // loading it says what is wrong
  std::filesystem::create_directory(folder / "step-[1]");
  EXPECT_THAT(model_series(at("step-[1]")), ElementsAre(at("step-[1]")));
  testing::expect_error(ErrorKind::kUsage, [&] { model_series(at("stage-*")); },
                        {"stage-*", "no folder matches"});
}

}  // namespace
}  // namespace fathom::harness
