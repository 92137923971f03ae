// Devices as the code above kernels/ sees them: whether one can be used, its memory, and a stream on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/kernels.h"

namespace fathom::kernels {

/// Why nothing can run in `space`, in a sentence; nothing when it can.
std::optional<std::string> why_unusable(Space space);
/// Throws Error{kEnvironment} with the reason.
void check_usable(Space space);

/// Bytes of memory of the machine or the device.
int64_t memory_bytes(Space space);
/// Bytes that this process's buffers hold on the device; nothing for the CPU.
std::optional<int64_t> device_bytes(Space space);

/// A stream and, on a device, the queue behind it. Move-only; outlives every use of stream().
class OwnedStream {
 public:
  /// `pool` is borrowed; the CPU needs it. Throws Error{kEnvironment} when the space cannot be used.
  OwnedStream(Space space, ThreadPool* pool);
  ~OwnedStream();
  OwnedStream(OwnedStream&& other) noexcept;
  OwnedStream& operator=(OwnedStream&& other) noexcept;

  const Stream& stream() const { return stream_; }

 private:
  Stream stream_;
};

}  // namespace fathom::kernels
