#include "engine/verified_kernels.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "engine/embedded_engine.h"
#include "tests/engine/golden_weights.h"
#include "tests/engine/tiny_model.h"

namespace fathom::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(VerifiedKernels, TheLibraryIsAskedForEveryShapeOfADenseMatrixOnce) {
  const TinyModel model(golden::config('A'), {.dtype = kernels::Dtype::kBF16});
  // Config A: h 64, q rank 24, 4 heads of 16 + 8 and 16, rank 32 + 8, width 96, shared experts 2 x 48.
  std::vector<std::pair<int64_t, int64_t>> shapes;
  for (const auto& [outputs, inputs] : library_shapes(model.checkpoint()->weights()))
    shapes.emplace_back(outputs, inputs);
  EXPECT_THAT(shapes, ElementsAre(std::pair(24, 64), std::pair(96, 24), std::pair(40, 64), std::pair(64, 64),
                                  std::pair(96, 64), std::pair(64, 96)));
}

TEST(VerifiedKernels, OnlyBf16WeightsAreTheLibrarys) {
  EXPECT_TRUE(library_shapes(TinyModel('A').checkpoint()->weights()).empty());
}

TEST(VerifiedKernels, NumericsNameTheLibraryAndItsMatrices) {
  kernels::LibraryReport report{.library = "cuBLASLt 13.1.0", .proven = {{576, 2048}, {2048, 2048}}};
  EXPECT_EQ(library_identity(report), "cuBLASLt 13.1.0 for 576x2048, 2048x2048");
  report.refused.push_back({{3072, 2048}, "rows of a batch of 3 differ from those of 2048"});
  EXPECT_THAT(
      library_sentences(report),
      ElementsAre("cuBLASLt 13.1.0 computes products with 576x2048, 2048x2048: a row's bits are the same "
                  "for every number of rows",
                  "our own kernels compute products with 3072x2048: cuBLASLt 13.1.0: rows of a batch of 3 "
                  "differ from those of 2048"));
  report.proven.clear();
  EXPECT_EQ(library_identity(report), std::nullopt);
}

TEST(VerifiedKernels, WithoutALibraryTheReasonIsSaid) {
  EXPECT_THAT(library_sentences({.why_not = "it cannot be loaded"}),
              ElementsAre("our own kernels compute everything: it cannot be loaded"));
}

TEST(VerifiedKernels, AreForBf16OnADevice) {
  const TinyModel model('A');
  try {
    EmbeddedEngine engine(model.checkpoint(), nullptr, {.verify_kernels = true});
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("needs --device cuda and --compute bf16"));
  }
}

}  // namespace
}  // namespace fathom::engine
