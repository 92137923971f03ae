// The proof that a library must pass before it computes anything, with libraries of every kind of fault.
#include <gmock/gmock.h>

#include <cmath>

#include "base/error.h"
#include "kernels/cuda/library.h"
#include "tests/kernels/arrays.h"

namespace fathom::kernels::cuda {
namespace {

using ::testing::HasSubstr;

constexpr MatrixShape kShape{.outputs = 24, .inputs = 40};
constexpr int64_t kMaxRows = 70;

/// Sums in ascending k, and what a test makes of them. Memory of the emulated device is the host's.
class HostLibrary : public Library {
 public:
  std::string name() const override { return "host"; }
  std::optional<std::string> prepare(const MatrixShape&, int64_t) override { return std::nullopt; }
  std::optional<std::string> multiply(const Stream&, const LibraryProduct& p) override {
    ++n_calls;
    for (int64_t r = 0; r < p.m; ++r) {
      for (int64_t n = 0; n < p.n; ++n) {
        float sum = p.accumulate ? p.out[r * p.n + n] : 0.0f;
        for (int64_t k = 0; k < p.k; ++k)
          sum = std::fma(widen(p.x[r * p.k + k]), widen(p.weight[n * p.k + k]), sum);
        p.out[r * p.n + n] = change(p, r, n, sum);
      }
    }
    return refusal(p);
  }
  virtual float change(const LibraryProduct&, int64_t, int64_t, float sum) { return sum; }
  virtual std::optional<std::string> refusal(const LibraryProduct&) { return std::nullopt; }

  int n_calls = 0;
};

float next(float x) {
  return std::nextafterf(x, INFINITY);
}

std::optional<std::string> prove_it(Library& library) {
  const OwnedStream owned(Space::kCuda, nullptr);
  return prove(owned.stream(), library, kShape, kMaxRows);
}

TEST(Prove, PassesALibraryOfOneOrder) {
  HostLibrary library;
  EXPECT_EQ(prove_it(library), std::nullopt);
  EXPECT_GE(library.n_calls, kMaxRows);
}

TEST(Prove, FindsTheNumberOfRowsWithOtherBits) {
  struct : HostLibrary {
    float change(const LibraryProduct& p, int64_t r, int64_t n, float sum) override {
      return p.m == 33 && r == 32 && n == kShape.outputs - 1 ? next(sum) : sum;
    }
  } library;
  EXPECT_THAT(prove_it(library).value_or(""), HasSubstr("rows of a batch of 33 differ"));
}

TEST(Prove, FindsARowThatDependsOnItsPlace) {
  struct : HostLibrary {
    const Bf16* first_x = nullptr;
    float change(const LibraryProduct& p, int64_t, int64_t, float sum) override {
      if (first_x == nullptr) first_x = p.x;
      return p.x == first_x ? sum : next(sum);
    }
  } library;
  EXPECT_THAT(prove_it(library).value_or(""), HasSubstr("1 places earlier"));
}

TEST(Prove, FindsOtherBitsOnRepetition) {
  struct : HostLibrary {
    int n_whole = 0;
    float change(const LibraryProduct& p, int64_t r, int64_t n, float sum) override {
      if (p.m == kMaxRows && r == 0 && n == 0) ++n_whole;
      return n_whole == 4 ? next(sum) : sum;  // the first is compared with the second before
    }
  } library;
  EXPECT_THAT(prove_it(library).value_or(""), HasSubstr("twice differs"));
}

TEST(Prove, FindsAWrongProduct) {
  struct : HostLibrary {
    float change(const LibraryProduct& p, int64_t r, int64_t n, float sum) override {
      const Bf16* x = p.x + r * p.k;
      const Bf16* weight = p.weight + n * p.k;
      return sum - widen(x[7]) * widen(weight[7]);  // one k forgotten, always
    }
  } library;
  EXPECT_THAT(prove_it(library).value_or(""), HasSubstr("our own"));
}

TEST(Prove, PassesOnWhatTheLibrarySays) {
  struct : HostLibrary {
    std::optional<std::string> refusal(const LibraryProduct& p) override {
      if (p.m == 5) return "not supported";
      return std::nullopt;
    }
  } library;
  EXPECT_EQ(prove_it(library), "5 rows: not supported");
}

/// Marks what it computed.
class MarkingLibrary : public HostLibrary {
 public:
  float change(const LibraryProduct&, int64_t, int64_t, float) override { return 42.0f; }
};

TEST(Library, ComputesOnlyWhatItWasProvenFor) {
  ProvenLibrary proven{std::make_unique<MarkingLibrary>(), {{.outputs = 24, .inputs = 64}}};
  TestStream owned;
  Stream stream = owned;
  stream.library = &proven;
  Random random(1);
  const auto is_the_librarys = [&](Dtype dtype, int64_t n, int64_t k, bool bias, Compute compute) {
    const Array x = Array::uniform(random, Dtype::kF32, {3, k});
    const Array weight = Array::uniform(random, dtype, {n, k});
    const Array of_bias = Array::uniform(random, dtype, {n});
    Array out = Array::uniform(random, Dtype::kF32, {3, n});
    const Buffer scratch(Space::kCuda, linear_scratch_bytes(stream, compute, 3, k));
    kernels::linear(stream, {.x = x.tensor(),
                             .weight = weight.tensor(),
                             .bias = bias ? of_bias.tensor() : Tensor(),
                             .out = out.tensor(),
                             .compute = compute,
                             .scratch = scratch.scratch()});
    return out.at(0) == 42.0;
  };
  EXPECT_TRUE(is_the_librarys(Dtype::kBF16, 24, 64, false, Compute::kBF16));
  EXPECT_FALSE(is_the_librarys(Dtype::kBF16, 24, 64, false, Compute::kF32));
  EXPECT_FALSE(is_the_librarys(Dtype::kBF16, 24, 64, true, Compute::kBF16));
  EXPECT_FALSE(is_the_librarys(Dtype::kF32, 24, 64, false, Compute::kBF16));
  EXPECT_FALSE(is_the_librarys(Dtype::kBF16, 64, 24, false, Compute::kBF16));
}

TEST(Library, SayingNoToWhatItWasProvenForIsAnError) {
  struct Refusing : HostLibrary {
    std::optional<std::string> refusal(const LibraryProduct&) override { return "not supported"; }
  };
  const ProvenLibrary proven{std::make_unique<Refusing>(), {}};
  std::vector<float> out(1);
  const Bf16 one{0x3F80};
  EXPECT_THROW(proven.multiply({}, {.x = &one, .weight = &one, .out = out.data(), .m = 1, .k = 1, .n = 1}),
               Error);
}

TEST(Library, AnEmulatedDeviceHasNone) {
  OwnedStream owned(Space::kCuda, nullptr);
  const LibraryReport report = owned.use_library({}, 1);
  EXPECT_EQ(report.library, "");
  EXPECT_EQ(report.why_not, "an emulated device has no library");
  EXPECT_EQ(owned.stream().library, nullptr);
}

}  // namespace
}  // namespace fathom::kernels::cuda
