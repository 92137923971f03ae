#include "engine/quantise.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/div_up.h"
#include "base/error.h"
#include "kernels/rounding.h"

namespace fathom::engine {
namespace {

using kernels::to_bf16;

constexpr float kLargestE4m3 = 448.0f;

float rounded_to_bf16(float value) {
  return kernels::from_bf16(to_bf16(value));
}

// One scale's numbers: rows [row, row_end) x columns [column, column_end).
struct BlockOfMatrix {
  int64_t row, row_end, column, column_end;
};

class Quantiser {
 public:
  Quantiser(const kernels::Tensor& matrix, const Quantization& quantization, const std::string& name,
            QuantisedBytes& out)
      : matrix_(matrix),
        q_(quantization),
        name_(name),
        k_(matrix.shape[1]),
        n_blocks_(div_up(k_, q_.block_columns)),
        out_(out) {}

  // All blocks of rows [block_rows * i, block_rows * (i + 1)).
  void quantise_row_of_blocks(int64_t i) {
    const int64_t row = i * q_.block_rows;
    const int64_t row_end = std::min(matrix_.shape[0], row + q_.block_rows);
    for (int64_t b = 0; b < n_blocks_; ++b) {
      const int64_t column = b * q_.block_columns;
      const BlockOfMatrix block{row, row_end, column, std::min(k_, column + q_.block_columns)};
      read(block);
      const float max = largest();
      if (q_.format == QuantFormat::kFp8) {
        const float scale = max == 0 ? 1.0f : max / kLargestE4m3;
        std::memcpy(out_.scales.data() + (i * n_blocks_ + b) * 4, &scale, 4);
        write(block, [&](float w) { return kernels::to_e4m3(w / scale); });
        continue;
      }
      const float scale = max == 0                          ? 1.0f
                          : q_.format == QuantFormat::kInt8 ? rounded_to_bf16(max / 127)
                                                            : best_int4_scale(max);
      const uint16_t bits = to_bf16(scale);
      std::memcpy(out_.scales.data() + (i * n_blocks_ + b) * 2, &bits, 2);
      if (q_.format == QuantFormat::kInt8) {
        write(block, [&](float w) {
          return static_cast<uint8_t>(
              static_cast<int8_t>(std::clamp(std::nearbyint(w / scale), -127.0f, 127.0f)));
        });
      } else {
        write_nibbles(block, scale);
      }
    }
  }

 private:
  void read(const BlockOfMatrix& block) {
    numbers_.clear();
    for (int64_t r = block.row; r < block.row_end; ++r) {
      for (int64_t c = block.column; c < block.column_end; ++c)
        numbers_.push_back(matrix_number(matrix_, r, c));
    }
  }

  float largest() const {
    float max = 0;
    for (float w : numbers_) {
      if (!std::isfinite(w))
        bad_input(name_, "holds a NaN or an infinity; no quantised format keeps it (fathom model check)");
      max = std::max(max, std::fabs(w));
    }
    return max;
  }

  static float int4_code(float w, float scale) { return std::clamp(std::nearbyint(w / scale), -8.0f, 7.0f); }

  float best_int4_scale(float max) const {
    float best = 0;
    float least = std::numeric_limits<float>::infinity();
    for (int percent = 100; percent >= 70; percent -= 5) {
      const float scale = rounded_to_bf16(static_cast<float>(percent) / 100 * max / 7.5f);
      float error = 0;
      for (float w : numbers_) {
        const float d = w - int4_code(w, scale) * scale;
        error += d * d;
      }
      if (error < least) {
        least = error;
        best = scale;
      }
    }
    return best;
  }

  template <typename Code>
  void write(const BlockOfMatrix& block, const Code& code) {
    size_t at = 0;
    for (int64_t r = block.row; r < block.row_end; ++r) {
      for (int64_t c = block.column; c < block.column_end; ++c)
        out_.numbers[static_cast<size_t>(r * k_ + c)] = static_cast<char>(code(numbers_[at++]));
    }
  }

  // A block begins at an even column: groups are multiples of 32.
  void write_nibbles(const BlockOfMatrix& block, float scale) {
    for (size_t i = 0; i < numbers_.size(); i += 2) {
      const auto low = static_cast<int>(int4_code(numbers_[i], scale)) + 8;
      const auto high = static_cast<int>(int4_code(numbers_[i + 1], scale)) + 8;
      out_.numbers[static_cast<size_t>(block.row * k_ + block.column) / 2 + i / 2] =
          static_cast<char>(low | high << 4);
    }
  }

  const kernels::Tensor& matrix_;
  const Quantization& q_;
  const std::string& name_;
  int64_t k_;
  int64_t n_blocks_;
  QuantisedBytes& out_;
  std::vector<float> numbers_;
};

}  // namespace

QuantisedBytes quantise_matrix(const kernels::Tensor& matrix, const Quantization& quantization,
                               const std::string& name, ThreadPool& pool) {
  FATHOM_CHECK(matrix.rank == 2 && !kernels::is_quantised(matrix.dtype), "{}", matrix.describe());
  const int64_t n = matrix.shape[0];
  const int64_t k = matrix.shape[1];
  const std::vector<QuantisedPart> parts = quantised_parts(quantization, n, k, name);
  const std::vector<int64_t>& scales = parts[1].shape;
  QuantisedBytes out;
  out.numbers.resize(
      static_cast<size_t>(n * k * kernels::dtype_bits(quantised_dtype(quantization.format)) / 8));
  out.scales.resize(static_cast<size_t>(scales[0] * scales[1]) * (parts[1].dtype == "F32" ? 4 : 2));
  pool.parallel_for(scales[0],
                    [&](int64_t i) { Quantiser(matrix, quantization, name, out).quantise_row_of_blocks(i); });
  return out;
}

}  // namespace fathom::engine
