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

/// kU8: bytes whose meaning the operation knows. kF8E4M3, kI8 and kI4 are formats of quantised matrices: they
/// need the Scales of their Tensor. kI4 packs two numbers q of -8..7 into a byte as q + 8, the one of even
/// column in the low half.
enum class Dtype : uint8_t { kF32, kBF16, kF16, kI32, kU8, kF8E4M3, kI8, kI4 };

int64_t dtype_bits(Dtype dtype);
/// Not for kI4, of which a number has no address.
size_t dtype_bytes(Dtype dtype);
/// "F32", "BF16", "F16", "I32", "U8", "F8_E4M3", "I8": the names safetensors uses; "I4", which it has not.
std::string_view dtype_name(Dtype dtype);
inline bool is_quantised(Dtype dtype) {
  return dtype == Dtype::kF8E4M3 || dtype == Dtype::kI8 || dtype == Dtype::kI4;
}

/// Where the bytes live. kCpu includes memory-mapped files; kCuda is the memory of the current device.
enum class Space : uint8_t { kCpu, kCuda };

/// Scales of a quantised matrix [N, K], one for a block of `rows` by `columns` numbers: element (n, k) is
/// q * data[n / rows, k / columns], rounded to fp32 once. Integers: rows = 1, columns a multiple of 32, BF16.
/// kF8E4M3: F32. The last block of a row or column may be smaller.
struct Scales {
  void* data = nullptr;  // [ceil(N / rows), ceil(K / columns)]
  int64_t rows = 0;
  int64_t columns = 0;
};

/// Row-major, contiguous, at most 3 dimensions. Shapes in comments read outermost first: [T, H, N].
struct Tensor {
  void* data = nullptr;
  Dtype dtype = Dtype::kF32;
  Space space = Space::kCpu;
  int rank = 0;
  std::array<int64_t, 3> shape = {0, 0, 0};
  Scales scales = {};  // of a quantised dtype

  Tensor() = default;
  Tensor(void* bytes, Dtype type, std::initializer_list<int64_t> dims, Space where = Space::kCpu);
  /// A view for reading; kernels that write say so in their contract.
  Tensor(const void* bytes, Dtype type, std::initializer_list<int64_t> dims, Space where = Space::kCpu)
      : Tensor(const_cast<void*>(bytes), type, dims, where) {}

  int64_t elements() const;
  /// Without the scales.
  size_t bytes() const { return static_cast<size_t>(elements() * dtype_bits(dtype) / 8); }
  /// Of the scales; 0 without.
  size_t scale_bytes() const;
  bool has_shape(std::initializer_list<int64_t> expected) const;
  /// Rows [begin, end) of the outermost dimension. Of a quantised matrix: `begin` starts a block of scales.
  Tensor rows(int64_t begin, int64_t end) const;
  /// "BF16 [64, 2048]"
  std::string describe() const;
};

}  // namespace fathom::kernels
