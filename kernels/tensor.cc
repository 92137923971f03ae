#include "kernels/tensor.h"

#include <algorithm>

#include "base/div_up.h"
#include "base/error.h"

namespace fathom::kernels {
namespace {

int64_t scale_bits(Dtype dtype) {
  return dtype == Dtype::kF8E4M3 ? 32 : 16;
}

}  // namespace

int64_t dtype_bits(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
    case Dtype::kI32:
      return 32;
    case Dtype::kBF16:
    case Dtype::kF16:
      return 16;
    case Dtype::kU8:
    case Dtype::kF8E4M3:
    case Dtype::kI8:
      return 8;
    case Dtype::kI4:
      return 4;
  }
  FATHOM_CHECK(false, "dtype {}", static_cast<int>(dtype));
}

size_t dtype_bytes(Dtype dtype) {
  FATHOM_CHECK(dtype != Dtype::kI4);
  return static_cast<size_t>(dtype_bits(dtype) / 8);
}

std::string_view dtype_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return "F32";
    case Dtype::kBF16:
      return "BF16";
    case Dtype::kF16:
      return "F16";
    case Dtype::kI32:
      return "I32";
    case Dtype::kU8:
      return "U8";
    case Dtype::kF8E4M3:
      return "F8_E4M3";
    case Dtype::kI8:
      return "I8";
    case Dtype::kI4:
      return "I4";
  }
  FATHOM_CHECK(false, "dtype {}", static_cast<int>(dtype));
}

Tensor::Tensor(void* bytes, Dtype type, std::initializer_list<int64_t> dims, Space where)
    : data(bytes), dtype(type), space(where), rank(static_cast<int>(dims.size())) {
  FATHOM_CHECK(dims.size() <= shape.size(), "rank {}", dims.size());
  std::copy(dims.begin(), dims.end(), shape.begin());
}

int64_t Tensor::elements() const {
  int64_t n = rank == 0 ? 0 : 1;
  for (int i = 0; i < rank; ++i) n *= shape[i];
  return n;
}

bool Tensor::has_shape(std::initializer_list<int64_t> expected) const {
  return rank == static_cast<int>(expected.size()) &&
         std::equal(expected.begin(), expected.end(), shape.begin());
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  FATHOM_CHECK(rank >= 1 && begin >= 0 && begin <= end && end <= shape[0], "rows {}..{} of {}", begin, end,
               describe());
  Tensor view = *this;
  const int64_t row_elements = shape[0] == 0 ? 0 : elements() / shape[0];
  view.data = static_cast<char*>(data) + begin * row_elements * dtype_bits(dtype) / 8;
  view.shape[0] = end - begin;
  if (scales.data != nullptr) {
    FATHOM_CHECK(rank == 2 && begin % scales.rows == 0, "rows from {} of {}", begin, describe());
    view.scales.data = static_cast<char*>(scales.data) +
                       begin / scales.rows * div_up(shape[1], scales.columns) * scale_bits(dtype) / 8;
  }
  return view;
}

size_t Tensor::scale_bytes() const {
  if (scales.data == nullptr) return 0;
  return static_cast<size_t>(div_up(shape[0], scales.rows) * div_up(shape[1], scales.columns) *
                             scale_bits(dtype) / 8);
}

std::string Tensor::describe() const {
  std::string text(dtype_name(dtype));
  text += " [";
  for (int i = 0; i < rank; ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace fathom::kernels
