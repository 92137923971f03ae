#include "kernels/cpu/latent_encoding.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "kernels/rounding.h"

namespace fathom::kernels::cpu {
namespace {

/// The group's scale as stored. Codes of a group whose scale is 0 or NaN are all 0.
uint16_t group_scale(const float* x, int64_t n, float largest_code) {
  float max = 0.0f;
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(x[i])) return to_bf16(std::numeric_limits<float>::quiet_NaN());
    max = std::max(max, std::fabs(x[i]));
  }
  return to_bf16(max / largest_code);
}

/// code(x / scale) of each number of a group, into bytes.
template <typename Code>
void encode_bytes(const float* x, int64_t n, uint16_t stored_scale, const Code& code, uint8_t* out) {
  const float scale = from_bf16(stored_scale);
  for (int64_t i = 0; i < n; ++i) out[i] = scale > 0.0f ? code(x[i] / scale) : 0;
}

template <int kLargest>
uint8_t integer_code(float x) {
  return static_cast<uint8_t>(to_nearest(std::clamp<float>(x, -kLargest, kLargest)));
}

void encode_six_bits(const float* x, int64_t n, uint16_t stored_scale, uint8_t* out) {
  uint8_t q[kLatentGroup] = {};
  encode_bytes(x, n, stored_scale, integer_code<31>, q);
  for (uint8_t& code : q) code = static_cast<uint8_t>(code + 32);
  for (int64_t i = 0; i < 32; ++i) out[i] = static_cast<uint8_t>((q[i] & 15) | ((q[i + 32] & 15) << 4));
  for (int64_t i = 0; i < 16; ++i) {
    out[32 + i] = static_cast<uint8_t>((q[i] >> 4) | ((q[i + 16] >> 4) << 2) | ((q[i + 32] >> 4) << 4) |
                                       ((q[i + 48] >> 4) << 6));
  }
}

float largest_code(LatentFormat format) {
  return format == LatentFormat::kF8 ? 448.0f : format == LatentFormat::kI6 ? 31.0f : 127.0f;
}

/// Groups of one part of a row; its codes are at `codes`, its scales at `scales`.
void encode_groups(LatentFormat format, const float* x, int64_t n, uint8_t* codes, std::byte* scales) {
  for (int64_t begin = 0; begin < n; begin += kLatentGroup) {
    const int64_t length = std::min(kLatentGroup, n - begin);
    const uint16_t scale = group_scale(x + begin, length, largest_code(format));
    std::memcpy(scales + begin / kLatentGroup * 2, &scale, sizeof scale);
    if (format == LatentFormat::kI6) {
      encode_six_bits(x + begin, length, scale, codes + begin / kLatentGroup * 48);
    } else if (format == LatentFormat::kF8) {
      encode_bytes(x + begin, length, scale, to_e4m3, codes + begin);
    } else {
      encode_bytes(x + begin, length, scale, integer_code<127>, codes + begin);
    }
  }
}

}  // namespace

void encode_latent_row(const LatentLayout& layout, const float* numbers, std::byte* row) {
  const int64_t n = layout.rank + layout.rope;
  switch (layout.format) {
    case LatentFormat::kF32:
      std::memcpy(row, numbers, static_cast<size_t>(n) * sizeof(float));
      return;
    case LatentFormat::kBF16:
      for (int64_t i = 0; i < n; ++i) {
        const uint16_t rounded = to_bf16(numbers[i]);
        std::memcpy(row + 2 * i, &rounded, sizeof rounded);
      }
      return;
    case LatentFormat::kF8:
    case LatentFormat::kI8:
    case LatentFormat::kI6: {
      auto* codes = reinterpret_cast<uint8_t*>(row);
      encode_groups(layout.format, numbers, layout.rank, codes, row + layout.scales_at);
      const LatentFormat of_keys = layout.format == LatentFormat::kI6 ? LatentFormat::kI8 : layout.format;
      encode_groups(of_keys, numbers + layout.rank, layout.rope, codes + layout.keys_at,
                    row + layout.scales_at + 2 * layout.n_latent_groups());
      return;
    }
  }
  FATHOM_CHECK(false, "latent format {}", static_cast<int>(layout.format));
}

}  // namespace fathom::kernels::cpu
