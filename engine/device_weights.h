// Weights in the memory of a device.
#pragma once

#include <vector>

#include "engine/weights.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"

namespace fathom::engine {

/// Views of the copies and the memory behind them.
struct DeviceWeights {
  Weights weights;
  std::vector<kernels::Buffer> buffers;
};

/// Copies every tensor, whole, to the stream's device. Throws Error{kUsage} for quantised weights, which only
/// the CPU computes with, and Error{kEnvironment} when the device has no room.
DeviceWeights upload_weights(const kernels::Stream& stream, const Weights& weights);

}  // namespace fathom::engine
