// Tensor: a view of numbers somewhere. It owns nothing and is cheap to copy.
//
// The code above kernels/ passes Tensors around and never dereferences `data`: the bytes may live on a
// device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace fathom::kernels {

enum class Dtype : uint8_t { kF32, kBF16, kF16, kI32 };

size_t dtype_bytes(Dtype dtype);
/// "F32", "BF16", "F16", "I32": the names safetensors uses.
std::string_view dtype_name(Dtype dtype);

/// Where the bytes live. kCpu includes memory-mapped files.
enum class Space : uint8_t { kCpu };

/// Row-major, contiguous, at most 3 dimensions. Shapes in comments read outermost first: [T, H, N].
struct Tensor {
  void* data = nullptr;
  Dtype dtype = Dtype::kF32;
  Space space = Space::kCpu;
  int rank = 0;
  std::array<int64_t, 3> shape = {0, 0, 0};

  Tensor() = default;
  Tensor(void* bytes, Dtype type, std::initializer_list<int64_t> dims, Space where = Space::kCpu);
  /// A view for reading; kernels that write say so in their contract.
  Tensor(const void* bytes, Dtype type, std::initializer_list<int64_t> dims, Space where = Space::kCpu)
      : Tensor(const_cast<void*>(bytes), type, dims, where) {}

  int64_t elements() const;
  size_t bytes() const { return static_cast<size_t>(elements()) * dtype_bytes(dtype); }
  bool has_shape(std::initializer_list<int64_t> expected) const;
  /// Rows [begin, end) of the outermost dimension.
  Tensor rows(int64_t begin, int64_t end) const;
  /// "BF16 [64, 2048]"
  std::string describe() const;
};

}  // namespace fathom::kernels
