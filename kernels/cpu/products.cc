// Which products serve which arithmetic.
#include "kernels/cpu/products.h"

#include <algorithm>
#include <initializer_list>

#include "base/error.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/self_check.h"

namespace fathom::kernels::cpu {

const Products& products_for(Compute compute, Dtype weight) {
  const bool integers = weight == Dtype::kI8 || weight == Dtype::kI4;
  if (compute == Compute::kF32 || (compute == Compute::kI8 && !integers)) return products_fp32();
  const Selected& selected = selected_products(compute);
  FATHOM_CHECK(selected.products != nullptr, "{}", selected.refusal);
  return *selected.products;
}

std::optional<std::string> compute_refusal(Compute compute) {
  if (compute == Compute::kF32) return std::nullopt;
  const Selected& selected = selected_products(compute);
  if (selected.products != nullptr) return std::nullopt;
  return selected.refusal;
}

size_t max_row_bytes(Compute compute, int64_t k) {
  return products_for(compute, Dtype::kI8).row_bytes(k);
}

size_t max_panel_bytes(Compute compute, int64_t k) {
  return std::max(products_for(compute, Dtype::kI8).panel_bytes(k), products_fp32().panel_bytes(k));
}

}  // namespace fathom::kernels::cpu
