// Devices as the code above kernels/ sees them: whether one can be used, its memory, and a stream on it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace fathom::kernels {

namespace cuda {
struct ProvenLibrary;
}

/// Of a weight [outputs, inputs].
struct MatrixShape {
  int64_t outputs = 0, inputs = 0;
  bool operator==(const MatrixShape&) const = default;
};

/// What OwnedStream::use_library found.
struct LibraryReport {
  std::string library;              ///< "cuBLASLt 13.1.0"; empty: none can be used
  std::string why_not;              ///< then, the reason
  std::vector<MatrixShape> proven;  ///< what it computes from now on
  struct Refused {
    MatrixShape shape;
    std::string reason;
  };
  std::vector<Refused> refused;  ///< what our own kernels go on computing
};

/// Why nothing can run in `space`, in a sentence; nothing when it can.
std::optional<std::string> why_unusable(Space space);
/// Throws Error{kEnvironment} with the reason.
void check_usable(Space space);

/// Bytes of memory of the machine or the device.
int64_t memory_bytes(Space space);
/// Bytes that this process's buffers hold on the device; nothing for the CPU.
std::optional<int64_t> device_bytes(Space space);

/// "NVIDIA H100 80GB HBM3"; nothing for the CPU.
std::optional<std::string> device_name(Space space);

/// What a device can do at best.
struct DevicePeaks {
  double fma_flops = 0.0;       ///< FLOP/s of fp32 fused multiply-adds in registers, 2 each
  double bf16_flops = 0.0;      ///< FLOP/s of tensor cores on bf16 (mma.sync, random numbers), 2 a product
  double read_bandwidth = 0.0;  ///< bytes/s of reading its memory
};
/// Measures them in a fraction of a second, with a GiB of its memory. kCuda alone.
DevicePeaks measure_device_peaks(const Stream& stream);

/// A stream and, on a device, the queue behind it. Move-only; outlives every use of stream().
class OwnedStream {
 public:
  /// `pool` is borrowed; the CPU needs it. Throws Error{kEnvironment} when the space cannot be used.
  OwnedStream(Space space, ThreadPool* pool);
  ~OwnedStream();
  OwnedStream(OwnedStream&& other) noexcept;
  OwnedStream& operator=(OwnedStream&& other) noexcept;

  const Stream& stream() const { return stream_; }

  /// Lets a vendor's library (cuBLASLt) compute `linear` with bf16 weights of these shapes under
  /// Compute::kBF16, each only once it is proven that a row's bits are the same for every number of rows
  /// 1 .. max_rows, wherever it stands (kernels/cuda/library.h). Copies of stream() made before do not use
  /// it. kCuda alone; takes seconds, and device memory for the while.
  LibraryReport use_library(std::span<const MatrixShape> shapes, int64_t max_rows);

 private:
  Stream stream_;
  std::unique_ptr<cuda::ProvenLibrary> library_;
};

}  // namespace fathom::kernels
