// The implementations of int8 products; products_int8.cc lists them.
#pragma once

#include "kernels/cpu/products.h"

namespace fathom::kernels::cpu {

extern const Products kInt8Avx512Vnni;  // x86-64 alone, like the next
extern const Products kInt8Avx2;
extern const Products kInt8Scalar;

int64_t run_vnni_chains(int64_t n_steps, float& sink);
int64_t run_avx2_int16_chains(int64_t n_steps, float& sink);

}  // namespace fathom::kernels::cpu
