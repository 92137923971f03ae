// What a row's softmax over the cache carries from block to block (attention-inl.h).
#pragma once

#include <limits>

namespace fathom::kernels::cpu {

struct RowState {
  float max = -std::numeric_limits<float>::infinity();  // m
  float sum = 0.0f;                                     // l
};

}  // namespace fathom::kernels::cpu
