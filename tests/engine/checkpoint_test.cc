#include "engine/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

using kernels::Dtype;
using testing::TemporaryFolder;

// The values of a float32 tensor.
std::vector<float> numbers(const Tensor& tensor) {
  EXPECT_EQ(tensor.dtype, Dtype::kF32);
  std::vector<float> values(tensor.elements());
  std::memcpy(values.data(), tensor.data, tensor.bytes());
  return values;
}

TEST(Checkpoint, BindsEveryGoldenTensorToItsField) {
  TemporaryFolder folder;
  golden::write_checkpoint(folder.path(), 'A');
  const Checkpoint checkpoint = Checkpoint::load(folder.path());
  const Weights& w = checkpoint.weights();
  EXPECT_TRUE(w.embed_tokens.has_shape({128, 64}));
  EXPECT_EQ(numbers(w.lm_head), golden::values("lm_head.weight", 128 * 64));
  EXPECT_EQ(numbers(w.layers[2].moe->experts[15].up_proj),
            golden::values("model.layers.2.mlp.experts.15.up_proj.weight", 48 * 64));
  EXPECT_TRUE(w.layers[0].mlp && !w.layers[0].moe);
}

}  // namespace
}  // namespace fathom::engine
