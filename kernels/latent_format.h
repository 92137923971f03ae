// How a row of the latent cache is stored: rk latents and dr rotated key elements.
//
//   fp32, bf16   rk + dr numbers, one after the other
//   fp8, int8    a byte a number
//   int6         48 bytes for each 64 latents, a byte for each key element (positions need the precision
//   more)
//
// The last three share a bf16 scale among 64 numbers, latents and keys apart, and keep the scales behind the
// codes: group g of the latents, then group g of the keys. A number is worth code * scale, rounded to fp32
// once; the scale is max |x| / (largest code), rounded to bf16, and NaN for a group that has a NaN or an
// infinity.
//
//   int8   two's complement, -127 .. 127 (int6's keys too)
//   int6   q + 32 for q in -31 .. 31. Of a group of 64, byte i of 32 has the low 4 bits of elements i and
//          i + 32 (in its high half); byte 32 + i of 16 has the high 2 bits of elements i, i + 16, i + 32, i
//          + 48
//   fp8    e4m3 without NaN: s eeee mmm, largest 448
//
// A row's size is rounded up to whole 32-bit words, so that rows can be moved as such.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/div_up.h"

namespace fathom::kernels {

enum class LatentFormat : uint8_t { kF32, kBF16, kF8, kI8, kI6 };

inline constexpr LatentFormat kLatentFormats[] = {LatentFormat::kF32, LatentFormat::kBF16, LatentFormat::kF8,
                                                  LatentFormat::kI8, LatentFormat::kI6};

/// "fp32", "bf16", "fp8", "int8", "int6"
std::string_view latent_format_name(LatentFormat format);

/// Numbers that share a scale.
inline constexpr int64_t kLatentGroup = 64;

/// Where the parts of a row are, in bytes from its beginning.
struct LatentLayout {
  LatentLayout(LatentFormat format, int64_t rank, int64_t rope);

  LatentFormat format;
  int64_t rank;
  int64_t rope;
  int64_t keys_at;
  int64_t scales_at;
  int64_t row_bytes;

  int64_t row_words() const { return row_bytes / 4; }
  int64_t n_latent_groups() const { return div_up(rank, kLatentGroup); }
};

}  // namespace fathom::kernels
