#include "engine/weight_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

using kernels::Dtype;

TensorStatistics scan(const Tensor& tensor, ThreadPool& pool) {
  const CheckpointTensor named = {"w", tensor};
  return scan_tensors({&named, 1}, pool)[0];
}

TensorStatistics scan(const std::vector<float>& numbers) {
  ThreadPool pool(1);
  return scan(Tensor(numbers.data(), Dtype::kF32, {static_cast<int64_t>(numbers.size())}), pool);
}

TEST(WeightScan, CountsWhatIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const TensorStatistics s = scan({3, nan, -inf, 0, -4, inf, -nan, -0.0f});
  EXPECT_EQ(s.n_nan, 2);
  EXPECT_EQ(s.n_inf, 2);
  EXPECT_EQ(s.n_zero, 2);
  EXPECT_EQ(s.max_abs, 4);
  EXPECT_DOUBLE_EQ(s.rms, 2.5);  // sqrt((9 + 0 + 16 + 0) / 4)
}

TEST(WeightScan, KnowsTensorsWithoutFiniteNumbers) {
  const TensorStatistics s = scan(std::vector<float>(40, std::numeric_limits<float>::infinity()));
  EXPECT_EQ(s.n_inf, 40);
  EXPECT_EQ(s.n_zero, 0);
  EXPECT_EQ(s.rms, 0);
}

// Every 16-bit pattern against the compiler's own widening.
TEST(WeightScan, ReadsEveryHalfPrecisionPattern) {
  ThreadPool pool(1);
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float as_f16 = static_cast<float>(std::bit_cast<_Float16>(half));
    const float as_bf16 = std::bit_cast<float>(bits << 16);
    for (const auto& [dtype, value] : {std::pair(Dtype::kF16, as_f16), std::pair(Dtype::kBF16, as_bf16)}) {
      const TensorStatistics s = scan(Tensor(&half, dtype, {1}), pool);
      ASSERT_EQ(s.n_nan, std::isnan(value)) << bits;
      ASSERT_EQ(s.n_inf, std::isinf(value)) << bits;
      ASSERT_EQ(s.n_zero, value == 0) << bits;
      ASSERT_EQ(s.max_abs, std::isfinite(value) ? std::fabs(value) : 0) << bits;
    }
  }
}

TEST(WeightScan, DoesNotDependOnThreads) {
  std::vector<float> numbers(1'000'003);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = std::sin(static_cast<float>(i));
  const Tensor tensor(numbers.data(), Dtype::kF32, {static_cast<int64_t>(numbers.size())});
  ThreadPool one(1);
  ThreadPool three(3);
  const TensorStatistics a = scan(tensor, one);
  const TensorStatistics b = scan(tensor, three);
  EXPECT_EQ(a.rms, b.rms);
  EXPECT_NEAR(a.rms, std::sqrt(0.5), 1e-5);
  EXPECT_EQ(a.n_zero, 1);
}

TEST(WeightScan, ScansACheckpointTensorByTensor) {
  testing::TemporaryFolder folder;
  const nlohmann::json config = golden::config('A');
  std::vector<golden::NamedTensor> tensors = golden::tensors(config, {});
  const auto router = std::find_if(tensors.begin(), tensors.end(),
                                   [](const auto& t) { return t.name == "model.layers.1.mlp.gate.weight"; });
  const float nan = std::numeric_limits<float>::quiet_NaN();
  router->bytes.replace(64, 4, reinterpret_cast<const char*>(&nan), 4);
  golden::write_checkpoint(folder.path(), config, tensors);
  const Checkpoint checkpoint = Checkpoint::load(folder.path());
  ThreadPool pool(2);
  const std::vector<TensorStatistics> statistics = scan_tensors(checkpoint.tensors(), pool);
  ASSERT_EQ(statistics.size(), checkpoint.tensors().size());
  for (size_t i = 0; i < statistics.size(); ++i) {
    const std::string& name = checkpoint.tensors()[i].name;
    EXPECT_EQ(statistics[i].n_nan, name == router->name ? 1 : 0) << name;
    const bool norm = name.find("norm") != std::string::npos;
    EXPECT_NEAR(statistics[i].rms,
                norm                                      ? 1.0
                : name.find("embed") != std::string::npos ? 0.577
                                                          : 0.2,
                0.15)
        << name;
  }
}

}  // namespace
}  // namespace fathom::engine
