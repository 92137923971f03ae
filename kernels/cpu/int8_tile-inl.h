// Products of rows quantised per token and group with int8 and int4 weights: what the instruction sets share.
// Included by each products_int8_*.cc behind its target pragma, once.
//
// A prepared row has for each group g of the weight's columns a scale s_g = max|x| / 127, the codes
// q = round(x / s_g), nearest even, and their sum. An element of the product is
//   y = fma(float(n_g), s_g * w_g, y), g ascending from y = 0,
// with the scale w_g of the weight and the integer sum n_g of the group's code products, which is exact (less
// than 2^31 for groups of up to 2^16). So neither the block nor the instruction set changes a bit. A NaN or
// an infinity in a group makes s_g NaN.
//
// Codes are multiplied a 32-bit unit of a row at a time, kUnit codes in each, with the same unit of kLanes
// columns: the panel holds [K / kUnit][kColumns] units of the weights. Ops has:
//   kUnit, kVectors (of columns), Code (int8_t or int16_t), V (a vector of kLanes int32 and columns),
//   splat, load, dot(sum, weights, row unit), add_scaled(y, sum, row scale, weight scales), kOffset (whether
//   weights are stored + 128 or + 8, as unsigned bytes) and
//   pack(codes of kLanes columns, kPackCodes of each, out, stride of a unit in the panel).
#pragma once

#include "base/div_up.h"
#include "kernels/cpu/products.h"

namespace fathom::kernels::cpu {
namespace {

constexpr float kLargestCode = 127.0f;

inline int64_t groups_of(int64_t k, int64_t group) {
  return div_up(k, group);
}

/// A prepared row: scales [G], sums [G], codes [K padded to whole units], each part 64-byte aligned.
template <typename Code>
struct RowLayout {
  RowLayout(int64_t k, int64_t group) : n_groups(groups_of(k, group)), part((n_groups * 4 + 63) / 64 * 64) {}
  float* scales(void* row) const { return static_cast<float*>(row); }
  int32_t* sums(void* row) const { return reinterpret_cast<int32_t*>(static_cast<char*>(row) + part); }
  Code* codes(void* row) const { return reinterpret_cast<Code*>(static_cast<char*>(row) + 2 * part); }

  int64_t n_groups;
  int64_t part;
};

constexpr int64_t kSmallestGroup = 32;
constexpr int64_t kCodePadding = 64;

template <typename Code>
size_t row_bytes(int64_t k) {
  const RowLayout<Code> layout(k, kSmallestGroup);
  return static_cast<size_t>(2 * layout.part +
                             (k + kCodePadding) / 64 * 64 * static_cast<int64_t>(sizeof(Code)) + 64);
}

/// The largest magnitude of a group, by its bits: as integers, magnitudes order like them, and NaN and
/// infinity are the largest.
struct Magnitude {
  explicit Magnitude(uint32_t max_bits) : bits(max_bits), value(std::bit_cast<float>(max_bits)) {}
  bool is_finite() const { return bits < 0x7F800000; }
  /// Below, 127 / value is no number; what so small a group adds to a product is none either.
  bool is_regular() const { return is_finite() && value >= 1e-36f; }
  float inverse() const { return kLargestCode / value; }
  /// NaN, or 0, of a group whose codes are 0 because it is not regular.
  float scale() const {
    if (is_regular()) return value / kLargestCode;
    return is_finite() ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  }

  uint32_t bits;
  float value;
};

/// The group's scale; codes and their sum.
template <typename Code>
inline float quantise_group(const float* x, int64_t n, Code* codes, int32_t& sum) {
  uint32_t max_bits = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFF;
    max_bits = bits > max_bits ? bits : max_bits;
  }
  const Magnitude largest(max_bits);
  sum = 0;
  if (!largest.is_regular()) {
    for (int64_t i = 0; i < n; ++i) codes[i] = 0;
    return largest.scale();
  }
  const float inverse = largest.inverse();
  for (int64_t i = 0; i < n; ++i) {
    // Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits.
    const auto q = static_cast<int32_t>(std::bit_cast<uint32_t>(x[i] * inverse + 12582912.0f) - 0x4B400000u);
    codes[i] = static_cast<Code>(q);
    sum += q;
  }
  return largest.scale();
}

/// `quantise` is quantise_group, or has its results.
template <typename Code, typename Quantise>
void prepare_row(const float* x, int64_t k, int64_t group, void* row, const Quantise& quantise) {
  const RowLayout<Code> layout(k, group);
  Code* codes = layout.codes(row);
  for (int64_t g = 0; g < layout.n_groups; ++g) {
    const int64_t n = k - g * group < group ? k - g * group : group;
    layout.scales(row)[g] = quantise(x + g * group, n, codes + g * group, layout.sums(row)[g]);
  }
  for (int64_t i = k; i < (k + kCodePadding) / 64 * 64; ++i) codes[i] = 0;
}

inline void prepare_int16_row(const float* x, int64_t k, int64_t group, void* row) {
  prepare_row<int16_t>(x, k, group, row, quantise_group<int16_t>);
}

/// The weights of kColumns columns, as tiles read them.
template <typename Ops>
struct Panel {
  static constexpr int64_t kColumns = Ops::kVectors * Ops::kLanes;

  static int64_t units(int64_t k) { return div_up(k, kCodePadding) * kCodePadding / Ops::kUnit; }
  static size_t bytes(int64_t k) {
    return static_cast<size_t>((units(k) + groups_of(k, kSmallestGroup)) * kColumns) * 4 + 64;
  }

  Panel(void* bytes, const Tensor& weight)
      : codes(static_cast<int32_t*>(bytes)),
        scales(reinterpret_cast<float*>(codes + units(weight.shape[1]) * kColumns)) {}

  /// Columns beyond the last are copies of it.
  void fill(const Tensor& weight, int64_t col, int64_t n_columns) {
    const int64_t k = weight.shape[1];
    const int64_t n_groups = groups_of(k, weight.scales.columns);
    const bool int4 = weight.dtype == Dtype::kI4;
    const int64_t row_bytes = int4 ? k / 2 : k;
    const auto* data = static_cast<const uint8_t*>(weight.data);
    const auto* stored_scales = static_cast<const uint16_t*>(weight.scales.data);
    for (int64_t v = 0; v < Ops::kVectors; ++v) {
      const uint8_t* rows[Ops::kLanes];
      for (int64_t l = 0; l < Ops::kLanes; ++l) {
        const int64_t c = col + std::min(v * Ops::kLanes + l, n_columns - 1);
        rows[l] = data + c * row_bytes;
        for (int64_t g = 0; g < n_groups; ++g) {
          scales[g * kColumns + v * Ops::kLanes + l] =
              std::bit_cast<float>(static_cast<uint32_t>(stored_scales[c * n_groups + g]) << 16);
        }
      }
      int32_t* out = codes + v * Ops::kLanes;
      int64_t i = 0;
      for (; i + Ops::kPackCodes <= k; i += Ops::kPackCodes) {
        Ops::pack(rows, int4 ? i / 2 : i, int4, out + i / Ops::kUnit * kColumns, kColumns);
      }
      if (i == k) continue;
      // The last codes of each row, copied to where as many as pack() takes may be read.
      alignas(64) uint8_t ends[Ops::kLanes][Ops::kPackCodes] = {};
      const int64_t from = int4 ? i / 2 : i;
      for (int64_t l = 0; l < Ops::kLanes; ++l) {
        std::memcpy(ends[l], rows[l] + from, static_cast<size_t>(row_bytes - from));
        rows[l] = ends[l];
      }
      Ops::pack(rows, 0, int4, out + i / Ops::kUnit * kColumns, kColumns);
    }
  }

  int32_t* codes;  // [units, kColumns]
  float* scales;   // [G, kColumns]
};

/// R rows by the panel's columns; y [R, kColumns].
template <typename Ops, int R>
inline void int8_tile(void* const* x, const Panel<Ops>& panel, const Tensor& weight, float* y) {
  using V = typename Ops::V;
  constexpr int C = Ops::kVectors;
  constexpr int64_t kColumns = Panel<Ops>::kColumns;
  const int64_t k = weight.shape[1];
  const int64_t group = weight.scales.columns;
  const RowLayout<typename Ops::Code> layout(k, group);
  const int32_t offset = Ops::kOffset ? (weight.dtype == Dtype::kI4 ? 8 : 128) : 0;
  const int32_t* units[R];
  for (int r = 0; r < R; ++r) units[r] = reinterpret_cast<const int32_t*>(layout.codes(x[r]));
  for (int64_t i = 0; i < R * kColumns; ++i) y[i] = 0.0f;
  for (int64_t g = 0; g < layout.n_groups; ++g) {
    V sums[R][C];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const V start = Ops::splat(-offset * layout.sums(x[r])[g]);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sums[r][c] = start;
    }
    const int64_t end = std::min((g + 1) * group, k);
    const int64_t last = (end + Ops::kUnit - 1) / Ops::kUnit;
    for (int64_t u = g * group / Ops::kUnit; u < last; ++u) {
      V weights[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) weights[c] = Ops::load(panel.codes + u * kColumns + c * Ops::kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const V row = Ops::splat(units[r][u]);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sums[r][c] = Ops::dot(sums[r][c], weights[c], row);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const float scale = layout.scales(x[r])[g];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c)
        Ops::add_scaled(y + r * kColumns + c * Ops::kLanes, sums[r][c], scale,
                        panel.scales + g * kColumns + c * Ops::kLanes);
    }
  }
}

template <typename Ops, int R>
inline void int8_rows(const ProductBlock& b, const Panel<Ops>& panel, int64_t& r, int64_t first, int64_t n) {
  constexpr int64_t kColumns = Panel<Ops>::kColumns;
  alignas(64) float y[R * kColumns];
  for (; b.n_rows - r >= R; r += R) {
    int8_tile<Ops, R>(const_cast<void* const*>(b.x) + r, panel, b.weight, y);
    for (int i = 0; i < R; ++i)
      std::memcpy(b.y + (r + i) * b.y_stride + first, y + i * kColumns,
                  static_cast<size_t>(n) * sizeof(float));
  }
}

template <typename Ops>
void int8_multiply(const ProductBlock& b) {
  Panel<Ops> panel(b.panel, b.weight);
  for (int64_t first = 0; first < b.n_columns; first += Panel<Ops>::kColumns) {
    const int64_t n = std::min(Panel<Ops>::kColumns, b.n_columns - first);
    panel.fill(b.weight, b.col + first, n);
    int64_t r = 0;
    int8_rows<Ops, Ops::kRows>(b, panel, r, first, n);
    int8_rows<Ops, 3>(b, panel, r, first, n);
    int8_rows<Ops, 1>(b, panel, r, first, n);
  }
}

}  // namespace
}  // namespace fathom::kernels::cpu
