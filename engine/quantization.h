// Quantization: how a checkpoint stores its quantised matrices, in layouts that map without repacking.
//
//   fp8   as DeepSeek-V3 and transformers' fine-grained FP8 store it: X.weight F8_E4M3 [N, K] and
//         X.weight_scale_inv F32 [ceil(N / 128), ceil(K / 128)]; value = weight * scale of its block
//   int8  compressed-tensors "int-quantized": X.weight I8 [N, K], X.weight_scale BF16 [N, ceil(K / g)]
//   int4  compressed-tensors "pack-quantized": X.weight_packed I32 [N, K / 8], eight numbers q + 8 of -8..7
//   to a
//         word, the first in the lowest bits; X.weight_scale BF16 [N, ceil(K / g)]; X.weight_shape I64 [2] =
//         N, K
//
// A matrix of such a checkpoint may also be plain; embedding, norms, router and kv_b_proj always are.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor.h"

namespace fathom::engine {

class KeyReader;

enum class QuantFormat { kFp8, kInt8, kInt4 };

struct Quantization {
  QuantFormat format = QuantFormat::kInt8;
  int64_t block_rows = 1;     ///< rows of the matrix that share a scale; 1 for the integers
  int64_t block_columns = 0;  ///< columns likewise, a multiple of 32: the group
  bool operator==(const Quantization&) const = default;
};

std::string_view quant_format_name(QuantFormat format);  // "fp8", "int8", "int4"
/// "int8, groups of 128", "fp8, blocks of 128 x 128"
std::string quantization_text(const Quantization& quantization);
kernels::Dtype quantised_dtype(QuantFormat format);

/// The config key quantization_config. Throws Error{kBadInput} for anything but the three layouts above.
Quantization read_quantization(KeyReader& config);
/// What read_quantization reads.
nlohmann::ordered_json quantization_json(const Quantization& quantization);

/// A stored tensor of a quantised matrix.
struct QuantisedPart {
  std::string_view suffix;  // behind "...weight"
  std::string_view dtype;   // safetensors name
  std::vector<int64_t> shape;
};
/// The parts of a matrix [n, k]: first the numbers, second the scales. Throws Error{kBadInput} naming `where`
/// when the format cannot store such a matrix (int4: k is no multiple of 8).
std::vector<QuantisedPart> quantised_parts(const Quantization& quantization, int64_t n, int64_t k,
                                           const std::string& where);

/// Number (row, column) of a plain or quantised matrix in host memory, widened.
float matrix_number(const kernels::Tensor& matrix, int64_t row, int64_t column);
/// The number that an E4M3 code stands for; NaN for 0x7F and 0xFF.
float e4m3_number(uint8_t code);

}  // namespace fathom::engine
