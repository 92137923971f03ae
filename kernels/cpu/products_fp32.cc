// fp32 rows times weight rows of every format, in fp32.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/products_fp32.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/dot_packed-inl.h"
#include "kernels/cpu/products.h"
#include "kernels/cpu/tiling.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

void ProductFp32(const ProductBlock& b) {
  with_weight_rows(b.weight, [&](const auto& w) {
    const auto store = [&](int64_t r, int64_t c, float v) HWY_ATTR { b.y[r * b.y_stride + c] = v; };
    const int64_t k = b.weight.shape[1];
    const auto* x = reinterpret_cast<const float* const*>(b.x);
    if (b.n_rows < kPackedRows) return dot_rows(x, b.n_rows, w, b.col, b.n_columns, k, store);
    auto* packed = static_cast<float*>(b.panel);
    pack_rows(x, b.n_rows, k, packed);
    dot_packed(packed, b.n_rows, w, b.col, b.n_columns, k, packed + packed_rows_size(kMaxRowBlock, k), store);
  });
}

size_t PanelBytes(int64_t k) {
  return static_cast<size_t>((packed_rows_size(kMaxRowBlock, k) + kTileCols * panel_stride(k))) *
         sizeof(float);
}

void UnpackRow(const Tensor& weight, int64_t row, float* out) {
  with_weight_rows(weight, [&](const auto& w) { unpack(w, row, weight.shape[1], out); });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(ProductFp32);
HWY_EXPORT(PanelBytes);
HWY_EXPORT(UnpackRow);

const Products& products_fp32() {
  static constexpr Products products = {
      .name = "fp32",
      .column_unit = 24,
      .max_rows = kMaxRowBlock,
      .supported = [] { return true; },
      .row_bytes = [](int64_t) { return size_t{0}; },
      .prepare = [](const float*, int64_t, int64_t, void*) {},
      .panel_bytes = [](int64_t k) { return HWY_DYNAMIC_DISPATCH(PanelBytes)(k); },
      .multiply = [](const ProductBlock& block) { HWY_DYNAMIC_DISPATCH(ProductFp32)(block); }};
  return products;
}

void unpack_row(const Tensor& weight, int64_t row, float* out) {
  HWY_DYNAMIC_DISPATCH(UnpackRow)(weight, row, out);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
