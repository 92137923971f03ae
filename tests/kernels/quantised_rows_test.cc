// Each reader of quantised rows gives the numbers that the codes stand for: on every instruction set, with
// AVX-512's byte permutations and without.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/kernels/quantised_rows_test.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/cpu/weight_rows-inl.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/quantised_matrix.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// Every number by load() and, where the reader has it, by load_step().
template <typename Rows>
void expect_numbers(const QuantisedMatrix& w, const char* reader) {
  const Tensor tensor = w.tensor();
  const int64_t k = tensor.shape[1];
  std::vector<float> out(static_cast<size_t>(k + kLanes));
  for (int64_t row = 0; row < tensor.shape[0]; ++row) {
    unpack(Rows(tensor), row, k, out.data());
    for (int64_t i = 0; i < k; ++i) {
      const float expected = w.values().values()[static_cast<size_t>(row * k + i)];
      const float found = out[static_cast<size_t>(i)];
      EXPECT_TRUE(found == expected || (std::isnan(found) && std::isnan(expected)))
          << reader << " row " << row << " of " << k << ", " << i << ": " << found << " for " << expected;
    }
  }
}

template <bool kVbmi>
void check_permuting_readers() {
  Random random(1);
  for (const int64_t k : {8, 16, 64, 104, 200, 2176}) {
    for (const int64_t columns : {32, 64, 128}) {
      expect_numbers<Int4Rows<kVbmi>>(QuantisedMatrix(random, Dtype::kI4, 3, k, columns), "int4");
    }
    expect_numbers<Fp8Rows<kVbmi>>(QuantisedMatrix(random, Dtype::kF8E4M3, 3, k - 3, 128, 2), "fp8");
  }
  QuantisedMatrix every_code(random, Dtype::kF8E4M3, 1, 256, 256);
  float scale;
  std::memcpy(&scale, every_code.tensor().scales.data, sizeof scale);
  for (int code = 0; code < 256; ++code)
    every_code.set_code(code, static_cast<uint8_t>(code),
                        static_cast<float>(e4m3_value(static_cast<uint8_t>(code))) * scale);
  expect_numbers<Fp8Rows<kVbmi>>(every_code, "every code of fp8");
}

void CheckReaders() {
  Random random(2);
  for (const int64_t k : {5, 64, 2171}) {
    expect_numbers<Int8Rows>(QuantisedMatrix(random, Dtype::kI8, 3, k, 32), "int8");
  }
  check_permuting_readers<false>();
#if HWY_TARGET == HWY_AVX3
  if (__builtin_cpu_supports("avx512vbmi")) check_permuting_readers<true>();
#endif
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels {
namespace cpu {
HWY_EXPORT(CheckReaders);
}  // namespace cpu
namespace {

TEST(QuantisedRows, EveryReaderGivesTheNumbersThatTheCodesStandFor) {
  on_every_instruction_set([] { HWY_DYNAMIC_DISPATCH(cpu::CheckReaders)(); });
}

}  // namespace
}  // namespace fathom::kernels
#endif  // HWY_ONCE
