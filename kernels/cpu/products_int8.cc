// The list of int8 products, and the portable one.
#include "kernels/cpu/products_int8.h"
#include "kernels/cpu/tiling.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/int8_tile-inl.h"

namespace fathom::kernels::cpu {
namespace {

struct Scalar {
  using V = int32_t;
  using Code = int16_t;
  static constexpr int64_t kLanes = 1;
  static constexpr int64_t kUnit = 2;
  static constexpr int kVectors = 4;
  static constexpr int kRows = 4;
  static constexpr int64_t kPackCodes = 2;
  static constexpr bool kOffset = false;

  static V splat(int32_t v) { return v; }
  static V load(const int32_t* p) { return *p; }
  static V dot(V sum, V weights, V row) {
    const auto w = std::bit_cast<std::array<int16_t, 2>>(weights),
               x = std::bit_cast<std::array<int16_t, 2>>(row);
    return sum + w[0] * x[0] + w[1] * x[1];
  }
  static void add_scaled(float* y, V sum, float scale, const float* weight_scales) {
    *y = std::fma(static_cast<float>(sum), scale * *weight_scales, *y);
  }
  static void pack(const uint8_t* const* rows, int64_t from, bool int4, int32_t* out, int64_t) {
    const uint8_t* codes = rows[0] + from;
    const std::array<int16_t, 2> pair =
        int4
            ? std::array{static_cast<int16_t>((codes[0] & 15) - 8), static_cast<int16_t>((codes[0] >> 4) - 8)}
            : std::array{static_cast<int16_t>(static_cast<int8_t>(codes[0])),
                         static_cast<int16_t>(static_cast<int8_t>(codes[1]))};
    *out = std::bit_cast<int32_t>(pair);
  }
};

}  // namespace

const Products kInt8Scalar = {.name = "scalar",
                              .column_unit = Panel<Scalar>::kColumns,
                              .max_rows = kMaxInt8Rows,
                              .supported = [] { return true; },
                              .row_bytes = row_bytes<int16_t>,
                              .prepare = prepare_int16_row,
                              .panel_bytes = Panel<Scalar>::bytes,
                              .multiply = int8_multiply<Scalar>};

#ifdef __x86_64__
constexpr const Products* kAll[] = {&kInt8Avx512Vnni, &kInt8Avx2, &kInt8Scalar};

int64_t run_int8_dot_chains(int64_t n_steps, float& sink) {
  if (kInt8Avx512Vnni.supported()) return run_vnni_chains(n_steps, sink);
  return kInt8Avx2.supported() ? run_avx2_int16_chains(n_steps, sink) : 0;
}
#else
constexpr const Products* kAll[] = {&kInt8Scalar};

int64_t run_int8_dot_chains(int64_t, float&) {
  return 0;
}
#endif

std::span<const Products* const> products_int8() {
  return kAll;
}

}  // namespace fathom::kernels::cpu
