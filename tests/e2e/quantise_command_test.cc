// Quantised models as a user meets them: the command, what its copy is good for, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "tests/e2e/child_process.h"
#include "tests/temporary_folder.h"

namespace fathom::testing {
namespace {

using ::testing::HasSubstr;

class QuantiseFromShell : public ::testing::Test {
 protected:
  int fathom(const std::vector<std::string>& args) {
    ChildProcess child(args, folder_.path(), folder_ / "out", folder_ / "err");
    return child.wait().exit_code.value_or(-1);
  }
  int quantise(const std::string& format) {
    return fathom({"model", "quantize", kNano, model(format), "--format", format});
  }
  int run(const std::string& model_dir, const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"run",     "demo_cloze", "--limit", "3",
                                     "--model", model_dir,    "--db",    (folder_ / "results.db").string()};
    args.insert(args.end(), more.begin(), more.end());
    return fathom(args);
  }
  std::string model(const std::string& name) const { return (folder_ / name).string(); }
  std::string out() const { return read_file(folder_ / "out"); }
  std::string err() const { return read_file(folder_ / "err"); }

  const std::string kNano = FATHOM_SOURCE_DIR "/models/nano";
  TemporaryFolder folder_;
};

TEST_F(QuantiseFromShell, TheCopyIsDescribedCheckedAndEvaluated) {
  for (const std::string format : {"int8", "int4", "fp8"}) {
    ASSERT_EQ(quantise(format), kExitDone) << err();
    EXPECT_THAT(out(), HasSubstr("162 matrices in " + format));
    EXPECT_THAT(out(), HasSubstr("5.15 MiB ->"));
    ASSERT_EQ(fathom({"model", "info", model(format)}), kExitDone) << err();
    EXPECT_THAT(out(), HasSubstr("quantised    " + format));
    ASSERT_EQ(fathom({"model", "check", model(format)}), kExitDone) << err();
    EXPECT_THAT(out(), HasSubstr("2,688,480 numbers"));
    ASSERT_EQ(run(model(format)), kExitDone) << err();
    EXPECT_THAT(out(), HasSubstr("demo_cloze"));
  }
}

TEST_F(QuantiseFromShell, AFullFolderAndAQuantisedOriginalAreRefused) {
  ASSERT_EQ(quantise("int8"), kExitDone) << err();
  EXPECT_EQ(quantise("int8"), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("not an empty folder"));
  EXPECT_EQ(fathom({"model", "quantize", model("int8"), model("again"), "--format", "fp8"}), kExitBadInput);
  EXPECT_THAT(err(), HasSubstr("quantised already (int8, groups of 128)"));
  EXPECT_FALSE(std::filesystem::exists(model("again")));
  EXPECT_EQ(fathom({"model", "quantize", kNano, model("x"), "--format", "int8", "--group", "48"}),
            kExitUsage);
}

TEST_F(QuantiseFromShell, AnotherComputeIsAnotherRunAndIntegersNeedIntegerWeights) {
  EXPECT_EQ(run(kNano, {"--compute", "int8"}), kExitUsage);
  EXPECT_THAT(err(), HasSubstr("needs int8 or int4 weights, found plain ones"));
  ASSERT_EQ(quantise("int8"), kExitDone) << err();
  ASSERT_EQ(run(model("int8")), kExitDone) << err();
  ASSERT_EQ(run(model("int8"), {"--compute", "int8"}), kExitDone) << err();
  EXPECT_THAT(err(), ::testing::Not(HasSubstr("reused")));
  ASSERT_EQ(fathom({"list", "runs", "--db", (folder_ / "results.db").string()}), kExitDone);
  EXPECT_THAT(out(), HasSubstr("\n   2  complete"));
}

}  // namespace
}  // namespace fathom::testing
