#include "kernels/tensor.h"

#include <algorithm>

#include "base/error.h"

namespace fathom::kernels {

size_t dtype_bytes(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
    case Dtype::kI32:
      return 4;
    case Dtype::kBF16:
    case Dtype::kF16:
      return 2;
  }
  FATHOM_CHECK(false, "dtype {}", static_cast<int>(dtype));
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
  view.data = static_cast<char*>(data) + static_cast<size_t>(begin * row_elements) * dtype_bytes(dtype);
  view.shape[0] = end - begin;
  return view;
}

std::string Tensor::describe() const {
  std::string text(dtype_name(dtype));
  text += " [";
  for (int i = 0; i < rank; ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace fathom::kernels
