#include "engine/quantization.h"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/div_up.h"
#include "base/error.h"
#include "engine/key_reader.h"
#include "kernels/rounding.h"

namespace fathom::engine {
namespace {

using kernels::Dtype;
using nlohmann::json;

constexpr int64_t kFp8Block = 128;
constexpr int64_t kMaxBlock = int64_t{1} << 16;  // sums of --compute int8 stay in 32 bits

int64_t read_group(KeyReader& keys, std::string_view key) {
  const int64_t group = keys.integer(key, 32, kMaxBlock);
  if (group % 32 != 0) keys.refuse(key, "a multiple of 32");
  return group;
}

Quantization read_fp8(KeyReader& keys) {
  keys.require_neutral("fmt", "e4m3", "the one format of 8-bit floats that fathom reads");
  keys.require_neutral("activation_scheme", "dynamic", "fathom does not quantise activations to fp8");
  const json* block = keys.find("weight_block_size");
  const json expected = {kFp8Block, kFp8Block};
  if (block == nullptr || *block != expected) keys.refuse("weight_block_size", expected.dump());
  // Lists of modules left alone: the tensors themselves tell.
  for (std::string_view list : {"modules_to_not_convert", "ignored_layers"}) keys.find(list);
  keys.require_all_known({});
  return {QuantFormat::kFp8, kFp8Block, kFp8Block};
}

// The weights object of a compressed-tensors group.
Quantization read_scheme(const json& weights, const KeyReader& parent) {
  KeyReader keys(weights, parent.where(), "quantization_config.config_groups.*.weights.");
  if (keys.text_or("type", "") != "int") keys.refuse("type", "\"int\"");
  if (!keys.boolean_or("symmetric", true)) keys.refuse("symmetric", "true (no zero points)");
  if (keys.text_or("strategy", "") != "group") keys.refuse("strategy", "\"group\"");
  keys.require_neutral("dynamic", false, "weights are quantised once");
  keys.require_neutral("actorder", nullptr, "columns must lie in their order");
  keys.require_neutral("block_structure", nullptr, "groups lie along a row");
  const int64_t bits = keys.integer("num_bits", 1, 16);
  if (bits != 4 && bits != 8) keys.refuse("num_bits", "4 or 8");
  // How the scales were found, and the types they are given back in.
  for (std::string_view harmless : {"observer", "observer_kwargs", "scale_dtype", "zp_dtype"})
    keys.find(harmless);
  const int64_t group = read_group(keys, "group_size");
  keys.require_all_known({});
  return {bits == 4 ? QuantFormat::kInt4 : QuantFormat::kInt8, 1, group};
}

Quantization read_compressed_tensors(KeyReader& keys) {
  const std::string format = keys.text_or("format", "");
  const json* groups = keys.find("config_groups");
  if (groups == nullptr || !groups->is_object() || groups->size() != 1 || !groups->begin()->is_object())
    keys.refuse("config_groups", "one group");
  KeyReader group(*groups->begin(), keys.where(), "quantization_config.config_groups.*.");
  for (std::string_view activations : {"input_activations", "output_activations"})
    group.require_neutral(activations, nullptr, "fathom quantises activations by --compute alone");
  group.find("targets");
  group.find("format");
  const json* weights = group.find("weights");
  if (weights == nullptr || !weights->is_object()) group.refuse("weights", "an object");
  group.require_all_known({});
  const Quantization quantization = read_scheme(*weights, keys);
  const std::string_view expected =
      quantization.format == QuantFormat::kInt4 ? "pack-quantized" : "int-quantized";
  if (format != expected) {
    keys.refuse("format", fmt::format("\"{}\" for {} bits", expected, expected == "pack-quantized" ? 4 : 8));
  }
  keys.require_neutral("quantization_status", "compressed", "the weights must be stored quantised");
  keys.require_neutral("kv_cache_scheme", nullptr, "--kv chooses the format of the cache");
  for (std::string_view empty : {"sparsity_config", "transform_config"})
    keys.require_neutral(empty, json::object(), "not read");
  for (std::string_view harmless : {"ignore", "global_compression_ratio", "version"}) keys.find(harmless);
  keys.require_all_known({});
  return quantization;
}

}  // namespace

std::string_view quant_format_name(QuantFormat format) {
  switch (format) {
    case QuantFormat::kFp8:
      return "fp8";
    case QuantFormat::kInt8:
      return "int8";
    case QuantFormat::kInt4:
      return "int4";
  }
  FATHOM_CHECK(false, "format {}", static_cast<int>(format));
}

std::string quantization_text(const Quantization& q) {
  if (q.format == QuantFormat::kFp8)
    return fmt::format("fp8, blocks of {} x {}", q.block_rows, q.block_columns);
  return fmt::format("{}, groups of {}", quant_format_name(q.format), q.block_columns);
}

Dtype quantised_dtype(QuantFormat format) {
  switch (format) {
    case QuantFormat::kFp8:
      return Dtype::kF8E4M3;
    case QuantFormat::kInt8:
      return Dtype::kI8;
    case QuantFormat::kInt4:
      return Dtype::kI4;
  }
  FATHOM_CHECK(false, "format {}", static_cast<int>(format));
}

Quantization read_quantization(KeyReader& config) {
  const json& object = *config.find("quantization_config");
  if (!object.is_object()) config.refuse("quantization_config", "an object or null");
  KeyReader keys(object, config.where(), "quantization_config.");
  const std::string method = keys.text_or("quant_method", "");
  if (method == "fp8") return read_fp8(keys);
  if (method == "compressed-tensors") return read_compressed_tensors(keys);
  keys.refuse(
      "quant_method",
      "\"fp8\" or \"compressed-tensors\" (others are not read: use the bf16, fp16 or fp32 weights, or "
      "quantise them with fathom model quantize)");
}

nlohmann::ordered_json quantization_json(const Quantization& q) {
  if (q.format == QuantFormat::kFp8) {
    return {{"quant_method", "fp8"},
            {"fmt", "e4m3"},
            {"activation_scheme", "dynamic"},
            {"weight_block_size", {q.block_rows, q.block_columns}}};
  }
  const bool int4 = q.format == QuantFormat::kInt4;
  return {{"quant_method", "compressed-tensors"},
          {"format", int4 ? "pack-quantized" : "int-quantized"},
          {"quantization_status", "compressed"},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}},
              {"weights",
               {{"num_bits", int4 ? 4 : 8},
                {"type", "int"},
                {"symmetric", true},
                {"strategy", "group"},
                {"group_size", q.block_columns},
                {"dynamic", false}}},
              {"input_activations", nullptr},
              {"output_activations", nullptr}}}}},
          {"ignore", {"lm_head", "re:.*kv_b_proj", "re:.*mlp.gate$"}}};
}

std::vector<QuantisedPart> quantised_parts(const Quantization& q, int64_t n, int64_t k,
                                           const std::string& where) {
  const std::vector<int64_t> scales = {div_up(n, q.block_rows), div_up(k, q.block_columns)};
  switch (q.format) {
    case QuantFormat::kFp8:
      return {{"", "F8_E4M3", {n, k}}, {"_scale_inv", "F32", scales}};
    case QuantFormat::kInt8:
      return {{"", "I8", {n, k}}, {"_scale", "BF16", scales}};
    case QuantFormat::kInt4:
      if (k % 8 != 0)
        bad_input(where, "int4 stores rows of multiples of 8 numbers; this matrix is [{}, {}]", n, k);
      return {{"_packed", "I32", {n, k / 8}}, {"_scale", "BF16", scales}, {"_shape", "I64", {2}}};
  }
  FATHOM_CHECK(false, "format {}", static_cast<int>(q.format));
}

float e4m3_number(uint8_t code) {
  const uint32_t magnitude = code & 0x7Fu;
  if (magnitude == 0x7F) return std::numeric_limits<float>::quiet_NaN();
  // Exponent and mantissa in place; the multiplication corrects the bias and makes subnormals right.
  const float value = std::bit_cast<float>(magnitude << 20) * 0x1p120f;
  return code & 0x80u ? -value : value;
}

float matrix_number(const kernels::Tensor& matrix, int64_t row, int64_t column) {
  const int64_t i = row * matrix.shape[1] + column;
  const auto* bytes = static_cast<const uint8_t*>(matrix.data);
  const auto half_at = [](const void* data, int64_t at) {
    uint16_t half;
    std::memcpy(&half, static_cast<const char*>(data) + 2 * at, 2);
    return half;
  };
  const kernels::Scales& s = matrix.scales;
  const int64_t scale = kernels::is_quantised(matrix.dtype)
                            ? row / s.rows * div_up(matrix.shape[1], s.columns) + column / s.columns
                            : 0;
  switch (matrix.dtype) {
    case Dtype::kF32: {
      float value;
      std::memcpy(&value, bytes + 4 * i, 4);
      return value;
    }
    case Dtype::kBF16:
      return kernels::from_bf16(half_at(bytes, i));
    case Dtype::kF16:
      return static_cast<float>(std::bit_cast<_Float16>(half_at(bytes, i)));
    case Dtype::kI8:
      return static_cast<float>(static_cast<int8_t>(bytes[i])) * kernels::from_bf16(half_at(s.data, scale));
    case Dtype::kI4:
      return static_cast<float>((bytes[i / 2] >> (i % 2 * 4) & 15) - 8) *
             kernels::from_bf16(half_at(s.data, scale));
    case Dtype::kF8E4M3:
      return e4m3_number(bytes[i]) * static_cast<const float*>(s.data)[scale];
    default:
      FATHOM_CHECK(false, "{}", matrix.describe());
  }
}

}  // namespace fathom::engine
