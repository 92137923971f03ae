// What --verify-kernels hands to the vendor's library of a device, and what it tells of the outcome.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/weights.h"
#include "kernels/device.h"

namespace fathom::engine {

/// The shapes, each once, of the bf16 matrices without a bias that the forward pass multiplies with the
/// engine's --compute: all but embedding, router, kv_b_proj, experts and lm_head.
std::vector<kernels::MatrixShape> library_shapes(const Weights& weights);

/// For the numerics identity: "cuBLASLt 13.1.0 for 576x2048, 2048x2048"; nothing when it computes nothing.
std::optional<std::string> library_identity(const kernels::LibraryReport& report);

/// For people, a sentence a line.
std::vector<std::string> library_sentences(const kernels::LibraryReport& report);

}  // namespace fathom::engine
