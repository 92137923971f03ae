#include "engine/device_weights.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "tests/engine/tiny_model.h"

namespace fathom::engine {
namespace {

std::vector<Tensor> tensors_of(const Weights& weights) {
  Weights views = weights;
  std::vector<Tensor> all;
  for_each_tensor(views, [&](Tensor& tensor, WeightKind) { all.push_back(tensor); });
  return all;
}

TEST(DeviceWeights, AreEveryTensorsBytesInOtherMemory) {
  for (char which : {'A', 'B'}) {
    const TinyModel model(which);
    ThreadPool pool(1);
    const DeviceWeights copies = upload_weights({.pool = &pool}, model.checkpoint()->weights());
    const std::vector<Tensor> from = tensors_of(model.checkpoint()->weights());
    const std::vector<Tensor> to = tensors_of(copies.weights);
    // The checkpoint knows them by name: none may be missing.
    EXPECT_EQ(from.size(), model.checkpoint()->tensors().size());
    ASSERT_EQ(to.size(), from.size());
    EXPECT_EQ(copies.buffers.size(), from.size());
    for (size_t i = 0; i < from.size(); ++i) {
      EXPECT_NE(to[i].data, from[i].data);
      EXPECT_EQ(to[i].describe(), from[i].describe());
      EXPECT_EQ(std::memcmp(to[i].data, from[i].data, from[i].bytes()), 0);
    }
  }
}

TEST(DeviceWeights, ATiedHeadStaysTheEmbedding) {
  const TinyModel model('A');
  Weights weights = model.checkpoint()->weights();
  weights.lm_head = weights.embed_tokens;
  ThreadPool pool(1);
  const DeviceWeights copies = upload_weights({.pool = &pool}, weights);
  EXPECT_EQ(copies.weights.lm_head.data, copies.weights.embed_tokens.data);
  EXPECT_NE(copies.weights.lm_head.data, weights.lm_head.data);
}

TEST(DeviceWeights, QuantisedWeightsAreRefusedWithAWayOut) {
  const TinyModel model('A');
  Weights weights = model.checkpoint()->weights();
  weights.layers[0].self_attn.o_proj.dtype = kernels::Dtype::kI8;
  ThreadPool pool(1);
  try {
    upload_weights({.pool = &pool}, weights);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.message().find("I8"), std::string::npos);
    EXPECT_NE(error.message().find("--device cpu"), std::string::npos);
  }
}

}  // namespace
}  // namespace fathom::engine
