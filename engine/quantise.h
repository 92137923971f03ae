// Rounding a matrix to a quantised format. Deterministic: the result does not depend on the number of
// threads.
//
//   int8  scale = max|w| / 127 of the group, rounded to bf16; q = round(w / scale), at most 127 in size
//   int4  scale = f max|w| / 7.5, rounded to bf16, f the one of 1, 0.95, ... 0.7 with the least squared
//   error;
//         q = round(w / scale) in -8..7
//   fp8   scale = max|w| / 448 of the block, fp32; q = w / scale rounded to E4M3, at most 448 in size
// Roundings are to nearest even. A group of zeros has the scale 1.
#pragma once

#include <string>

#include "base/thread_pool.h"
#include "engine/quantization.h"

namespace fathom::engine {

struct QuantisedBytes {
  std::string numbers;  // as quantised_parts' first part
  std::string scales;   // as its second
};

/// `matrix` is plain, [N, K]; K is a multiple of 8 for int4. Throws Error{kBadInput} naming `name` for a NaN
/// or an infinity, which no format keeps.
QuantisedBytes quantise_matrix(const kernels::Tensor& matrix, const Quantization& quantization,
                               const std::string& name, ThreadPool& pool);

}  // namespace fathom::engine
