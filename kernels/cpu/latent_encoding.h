// A cache row into its stored form (kernels/latent_format.h).
#pragma once

#include <cstddef>

#include "kernels/latent_format.h"

namespace fathom::kernels::cpu {

/// numbers: rank latents, then rope key elements. row: layout.row_bytes.
void encode_latent_row(const LatentLayout& layout, const float* numbers, std::byte* row);

}  // namespace fathom::kernels::cpu
