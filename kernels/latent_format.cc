#include "kernels/latent_format.h"

#include "base/div_up.h"
#include "base/error.h"

namespace fathom::kernels {
namespace {

constexpr int64_t kSixBitGroupBytes = kLatentGroup * 6 / 8;

int64_t number_bytes(LatentFormat format) {
  switch (format) {
    case LatentFormat::kF32:
      return 4;
    case LatentFormat::kBF16:
      return 2;
    case LatentFormat::kF8:
    case LatentFormat::kI8:
    case LatentFormat::kI6:  // its keys
      return 1;
  }
  FATHOM_CHECK(false, "latent format {}", static_cast<int>(format));
}

}  // namespace

std::string_view latent_format_name(LatentFormat format) {
  switch (format) {
    case LatentFormat::kF32:
      return "fp32";
    case LatentFormat::kBF16:
      return "bf16";
    case LatentFormat::kF8:
      return "fp8";
    case LatentFormat::kI8:
      return "int8";
    case LatentFormat::kI6:
      return "int6";
  }
  FATHOM_CHECK(false, "latent format {}", static_cast<int>(format));
}

LatentLayout::LatentLayout(LatentFormat format_in, int64_t rank_in, int64_t rope_in)
    : format(format_in), rank(rank_in), rope(rope_in) {
  const int64_t n_key_groups = div_up(rope, kLatentGroup);
  keys_at = format == LatentFormat::kI6 ? n_latent_groups() * kSixBitGroupBytes : rank * number_bytes(format);
  scales_at = (keys_at + rope * number_bytes(format) + 1) / 2 * 2;
  const bool scaled = format != LatentFormat::kF32 && format != LatentFormat::kBF16;
  const int64_t scale_bytes = scaled ? 2 * (n_latent_groups() + n_key_groups) : 0;
  row_bytes = (scales_at + scale_bytes + 3) / 4 * 4;
}

}  // namespace fathom::kernels
