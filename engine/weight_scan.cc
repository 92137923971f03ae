#include "engine/weight_scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "engine/quantization.h"

namespace fathom::engine {
namespace {

using kernels::Dtype;

constexpr int64_t kChunkElements = int64_t{1} << 18;  // one task: half to one MiB
constexpr int kLanes = 16;                            // independent sums that the compiler keeps in vectors

// What one chunk contributes. Chunks are added in order, so the thread that scanned one leaves no trace.
struct Partial {
  int64_t n_nan = 0;
  int64_t n_inf = 0;
  int64_t n_zero = 0;
  float max_abs = 0;
  double sum_of_squares = 0;
};

// The bits of one number, widened to float32 exactly.
struct FromF32 {
  using Bits = uint32_t;
  static uint32_t widen(Bits bits) { return bits; }
};
struct FromBf16 {
  using Bits = uint16_t;
  static uint32_t widen(Bits bits) { return uint32_t{bits} << 16; }
};
struct FromF16 {
  using Bits = uint16_t;
  // Moves exponent and mantissa into place and corrects the bias with an exact multiplication, which also
  // makes subnormals right; all-ones exponents (infinity, NaN) are put in by hand.
  static uint32_t widen(Bits bits) {
    const uint32_t magnitude = (uint32_t{bits} & 0x7FFF) << 13;
    const bool special = (bits & 0x7C00) == 0x7C00;
    return special ? magnitude | 0x7F800000
                   : std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  }
};

template <typename Format>
Partial scan_numbers(const char* data, int64_t n) {
  constexpr uint32_t kInfinity = 0x7F800000;
  using Bits = typename Format::Bits;
  Partial partial;
  std::array<double, kLanes> squares{};
  std::array<uint32_t, kLanes> max_bits{};  // magnitudes order like their bits
  std::array<Bits, kLanes> block;
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t n_here = std::min<int64_t>(kLanes, n - i);
    block.fill(0);
    std::memcpy(block.data(), data + i * static_cast<int64_t>(sizeof(Bits)),
                static_cast<size_t>(n_here) * sizeof(Bits));
    int32_t nan = 0;
    int32_t inf = 0;
    int32_t zero = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint32_t magnitude = Format::widen(block[lane]) & 0x7FFFFFFF;
      nan += magnitude > kInfinity;
      inf += magnitude == kInfinity;
      zero += magnitude == 0;
      const uint32_t finite = magnitude < kInfinity ? magnitude : 0;
      max_bits[lane] = std::max(max_bits[lane], finite);
      const double value = std::bit_cast<float>(finite);
      squares[lane] += value * value;
    }
    partial.n_nan += nan;
    partial.n_inf += inf;
    partial.n_zero += zero - (kLanes - n_here);  // the padding of the last block
  }
  for (double square : squares) partial.sum_of_squares += square;
  partial.max_abs = std::bit_cast<float>(*std::max_element(max_bits.begin(), max_bits.end()));
  return partial;
}

// A quantised chunk is widened piece by piece. What its scales do to it counts: a NaN scale is many NaNs.
Partial scan_quantised(const Tensor& tensor, int64_t begin, int64_t end) {
  std::vector<float> numbers(static_cast<size_t>(end - begin));
  for (int64_t i = begin; i < end; ++i) {
    numbers[static_cast<size_t>(i - begin)] = matrix_number(tensor, i / tensor.shape[1], i % tensor.shape[1]);
  }
  return scan_numbers<FromF32>(reinterpret_cast<const char*>(numbers.data()), end - begin);
}

Partial scan_chunk(const Tensor& tensor, int64_t begin, int64_t end) {
  if (kernels::is_quantised(tensor.dtype)) return scan_quantised(tensor, begin, end);
  const char* data =
      static_cast<const char*>(tensor.data) + static_cast<size_t>(begin) * kernels::dtype_bytes(tensor.dtype);
  switch (tensor.dtype) {
    case Dtype::kF32:
      return scan_numbers<FromF32>(data, end - begin);
    case Dtype::kBF16:
      return scan_numbers<FromBf16>(data, end - begin);
    case Dtype::kF16:
      return scan_numbers<FromF16>(data, end - begin);
    default:
      break;
  }
  FATHOM_CHECK(false, "weights of dtype {}", kernels::dtype_name(tensor.dtype));
}

TensorStatistics combine(const Tensor& tensor, const Partial* partials, int64_t n) {
  Partial sum;
  for (int64_t i = 0; i < n; ++i) {
    sum.n_nan += partials[i].n_nan;
    sum.n_inf += partials[i].n_inf;
    sum.n_zero += partials[i].n_zero;
    sum.max_abs = std::max(sum.max_abs, partials[i].max_abs);
    sum.sum_of_squares += partials[i].sum_of_squares;
  }
  const int64_t finite = tensor.elements() - sum.n_nan - sum.n_inf;
  const double rms = finite == 0 ? 0.0 : std::sqrt(sum.sum_of_squares / static_cast<double>(finite));
  return {sum.n_nan, sum.n_inf, sum.n_zero, sum.max_abs, rms};
}

int64_t n_chunks(const Tensor& tensor) {
  return (tensor.elements() + kChunkElements - 1) / kChunkElements;
}

}  // namespace

std::vector<TensorStatistics> scan_tensors(std::span<const CheckpointTensor> tensors, ThreadPool& pool) {
  // One parallel loop over the chunks of all tensors: small tensors do not leave threads idle.
  struct Task {
    const Tensor* tensor;
    int64_t begin;
  };
  std::vector<Task> tasks;
  for (const CheckpointTensor& stored : tensors) {
    for (int64_t c = 0; c < n_chunks(stored.tensor); ++c)
      tasks.push_back({&stored.tensor, c * kChunkElements});
  }
  std::vector<Partial> partials(tasks.size());
  pool.parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    const auto [tensor, begin] = tasks[i];
    partials[i] = scan_chunk(*tensor, begin, std::min(begin + kChunkElements, tensor->elements()));
  });
  std::vector<TensorStatistics> statistics;
  statistics.reserve(tensors.size());
  const Partial* next = partials.data();
  for (const CheckpointTensor& stored : tensors) {
    statistics.push_back(combine(stored.tensor, next, n_chunks(stored.tensor)));
    next += n_chunks(stored.tensor);
  }
  return statistics;
}

}  // namespace fathom::engine
