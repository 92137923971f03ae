// Carves arrays out of a Scratch, or adds up what they need. The CUDA kernels use it too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace fathom::kernels::cpu {

/// FATHOM_CHECKs that `used` bytes fit into `limit`. Not inline: nvcc reads this header and cannot read
/// fmt's.
void check_scratch(size_t used, size_t limit);

/// take() the same arrays in the same order from a default-made cursor, which only counts, and from one over
/// a Scratch of at least that many bytes.
class ScratchCursor {
 public:
  ScratchCursor() = default;
  explicit ScratchCursor(const Scratch& scratch)
      : data_(static_cast<std::byte*>(scratch.data)), limit_(scratch.bytes) {}

  /// Room for n values, 64-byte aligned; null when counting.
  template <typename T>
  T* take(int64_t n) {
    std::byte* at = data_ == nullptr ? nullptr : data_ + used_;
    used_ += (static_cast<size_t>(n) * sizeof(T) + 63) / 64 * 64;
    if (data_ != nullptr) check_scratch(used_, limit_);
    return reinterpret_cast<T*>(at);
  }

  size_t used() const { return used_; }

 private:
  std::byte* data_ = nullptr;
  size_t limit_ = 0;
  size_t used_ = 0;
};

}  // namespace fathom::kernels::cpu
