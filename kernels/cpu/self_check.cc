#include "kernels/cpu/self_check.h"

#include <mutex>

#include "base/error.h"
#include "kernels/buffer.h"
#include "kernels/cpu/check_multiply.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/targets.h"

#include <hwy/targets.h>

namespace fathom::kernels::cpu {
namespace {

/// y = x times `weight` by `products`.
void multiply_by(const Products& products, const float* x, int64_t n_rows, const Tensor& weight, float* y) {
  const int64_t k = weight.shape[1];
  const size_t row_bytes = (products.row_bytes(k) + 63) / 64 * 64;
  const Buffer prepared(Space::kCpu, row_bytes * static_cast<size_t>(n_rows) + 64);
  const Buffer panel(Space::kCpu, products.panel_bytes(k) + 64);
  const void* rows[kCheckRows];
  for (int64_t r = 0; r < n_rows; ++r) {
    const float* row = x + r * k;
    rows[r] = row;
    if (row_bytes == 0) continue;
    auto* place = static_cast<char*>(prepared.scratch().data) + static_cast<size_t>(r) * row_bytes;
    products.prepare(row, k, weight.scales.columns, place);
    rows[r] = place;
  }
  products.multiply({.x = rows,
                     .n_rows = n_rows,
                     .weight = weight,
                     .n_columns = weight.shape[0],
                     .panel = panel.scratch().data,
                     .y = y,
                     .y_stride = weight.shape[0]});
}

}  // namespace

std::string check_products(const Products& products, Compute compute) {
  constexpr Dtype kIntegers[] = {Dtype::kI8, Dtype::kI4};
  constexpr Dtype kEvery[] = {Dtype::kF32, Dtype::kBF16, Dtype::kF16, Dtype::kF8E4M3, Dtype::kI8, Dtype::kI4};
  const std::span<const Dtype> formats =
      compute == Compute::kI8 ? std::span<const Dtype>(kIntegers) : std::span<const Dtype>(kEvery);
  for (const Dtype dtype : formats) {
    std::string wrong = check_multiply(products.name, compute, dtype,
                                       [&](const float* x, int64_t n_rows, const Tensor& weight, float* y) {
                                         multiply_by(products, x, n_rows, weight, y);
                                       });
    if (!wrong.empty()) return wrong;
  }
  return "";
}

Selected select_products(std::span<const Products* const> candidates, Compute compute) {
  std::string wrong;
  for (const Products* products : candidates) {
    if (!products->supported()) continue;
    const std::string found = check_products(*products, compute);
    if (found.empty()) return {products, ""};
    wrong += (wrong.empty() ? "" : "; ") + found;
  }
  return {nullptr, wrong.empty() ? "this machine lacks the instructions" : "the self-check failed: " + wrong};
}

const Selected& selected_products(Compute compute) {
  if (compute == Compute::kBF16) {
    static const Selected selected = select_products(products_bf16(), Compute::kBF16);
    return selected;
  }
  static const Selected selected = select_products(products_int8(), Compute::kI8);
  return selected;
}

void choose_instruction_set(const std::function<std::string()>& check) {
  std::string wrong;
  int64_t failed = 0;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    const std::string found = check();
    if (found.empty()) return;
    wrong += (wrong.empty() ? "" : "; ") + std::string(hwy::TargetName(target)) + ": " + found;
    failed |= target;
    hwy::DisableTargets(failed);
  }
  throw Error(ErrorKind::kEnvironment, "no instruction set passes the self-check of the kernels: " + wrong);
}

void check_instruction_set() {
  static std::once_flag once;
  std::call_once(
      once, [] { choose_instruction_set([] { return check_products(products_fp32(), Compute::kF32); }); });
}

}  // namespace fathom::kernels::cpu
