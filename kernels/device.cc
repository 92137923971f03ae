#include "kernels/device.h"

#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "kernels/cuda/runtime.h"

namespace fathom::kernels {

std::optional<std::string> why_unusable(Space space) {
  return space == Space::kCuda ? cuda::why_unusable() : std::nullopt;
}

int64_t memory_bytes(Space space) {
  if (space == Space::kCuda) return static_cast<int64_t>(cuda::memory_bytes());
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
}

OwnedStream::OwnedStream(Space space, ThreadPool* pool) : stream_{space, pool, nullptr} {
  if (space != Space::kCuda) return;
  if (const std::optional<std::string> reason = cuda::why_unusable()) {
    throw Error(ErrorKind::kEnvironment, *reason + "; use --device cpu", "--device cuda");
  }
  stream_.device = cuda::create_stream();
}

OwnedStream::~OwnedStream() {
  if (stream_.space == Space::kCuda) cuda::destroy_stream(stream_.device);
}

OwnedStream::OwnedStream(OwnedStream&& other) noexcept : stream_(std::exchange(other.stream_, Stream())) {}

OwnedStream& OwnedStream::operator=(OwnedStream&& other) noexcept {
  std::swap(stream_, other.stream_);
  return *this;
}

}  // namespace fathom::kernels
