// Buffer: owned memory in a space. Move-only.
//
// Zero-filled. CPU buffers are anonymous maps, committed page by page when first written, so a large one
// costs nothing until it is used; device buffers come from the process's one pool and cost their size at
// once.
#pragma once

#include <cstddef>
#include <initializer_list>

#include "kernels/kernels.h"
#include "kernels/tensor.h"

namespace fathom::kernels {

class Buffer {
 public:
  Buffer() = default;
  /// Throws Error{kEnvironment} when the space has no room.
  Buffer(Space space, size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  size_t bytes() const { return bytes_; }
  Scratch scratch() const { return {data_, bytes_}; }
  /// A view of the whole buffer's front. The product of `dims` must fit.
  Tensor tensor(Dtype dtype, std::initializer_list<int64_t> dims) const;

 private:
  Space space_ = Space::kCpu;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace fathom::kernels
