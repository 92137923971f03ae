// What a device can do at best, measured: the ceilings that its kernels are held against.
#pragma once

#include "kernels/device.h"
#include "kernels/kernels.h"

namespace fathom::kernels::cuda {

/// `effort` scales the work of one run: 1 on a device, where it takes some milliseconds; far less for an
/// emulated one, whose times mean nothing. The best of a few runs; waits for the device.
DevicePeaks measure_peaks(const Stream& stream, double effort = 1.0);

}  // namespace fathom::kernels::cuda
