// The check that a set of products must pass before it computes anything: the machine at hand may have
// instructions that the machine of the build had not, and then nobody has seen this code run.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "kernels/cpu/products.h"

namespace fathom::kernels::cpu {

/// Multiplies small matrices of every format that `compute` takes, with few and many rows, and compares each
/// element with a scalar twin. Empty, or what is wrong. Some milliseconds.
std::string check_products(const Products& products, Compute compute);

struct Selected {
  const Products* products = nullptr;  // null: none serves
  std::string refusal;                 // then: why
};

/// The first of `candidates` (best first) that the machine supports and whose check passes.
Selected select_products(std::span<const Products* const> candidates, Compute compute);

/// The products of this process for kI8 or kBF16: selected and checked at the first call.
const Selected& selected_products(Compute compute);

/// Disables Highway's instruction sets, best first, until check() finds nothing wrong with the one that is
/// then chosen. Throws Error{kEnvironment} when none is left.
void choose_instruction_set(const std::function<std::string()>& check);

}  // namespace fathom::kernels::cpu
