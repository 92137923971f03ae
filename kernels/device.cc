#include "kernels/device.h"

#include <unistd.h>

#include <utility>

#include "base/error.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/peaks.h"
#include "kernels/cuda/runtime.h"

namespace fathom::kernels {

std::optional<std::string> why_unusable(Space space) {
  return space == Space::kCuda ? cuda::why_unusable() : std::nullopt;
}

void check_usable(Space space) {
  if (const std::optional<std::string> reason = why_unusable(space)) {
    throw Error(ErrorKind::kEnvironment, *reason + "; use --device cpu", "--device cuda");
  }
}

std::optional<int64_t> device_bytes(Space space) {
  if (space == Space::kCpu) return std::nullopt;
  return static_cast<int64_t>(cuda::used_bytes());
}

int64_t memory_bytes(Space space) {
  if (space == Space::kCuda) return static_cast<int64_t>(cuda::memory_bytes());
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
}

std::optional<std::string> device_name(Space space) {
  if (space == Space::kCpu) return std::nullopt;
  return cuda::device_name();
}

DevicePeaks measure_device_peaks(const Stream& stream) {
  FATHOM_CHECK(stream.space == Space::kCuda, "the CPU's peaks are in machine_peaks.h");
  return cuda::measure_peaks(stream);
}

OwnedStream::OwnedStream(Space space, ThreadPool* pool) : stream_{.space = space, .pool = pool} {
  if (space != Space::kCuda) return;
  check_usable(space);
  stream_.device = cuda::create_stream();
}

OwnedStream::~OwnedStream() {
  if (stream_.space == Space::kCuda) cuda::destroy_stream(stream_.device);
}

OwnedStream::OwnedStream(OwnedStream&& other) noexcept
    : stream_(std::exchange(other.stream_, Stream())), library_(std::move(other.library_)) {}

OwnedStream& OwnedStream::operator=(OwnedStream&& other) noexcept {
  std::swap(stream_, other.stream_);
  std::swap(library_, other.library_);
  return *this;
}

LibraryReport OwnedStream::use_library(std::span<const MatrixShape> shapes, int64_t max_rows) {
  FATHOM_CHECK(stream_.space == Space::kCuda, "a library for the CPU");
  LibraryReport report;
  std::unique_ptr<cuda::Library> library = cuda::open_library(report.why_not);
  if (library == nullptr) return report;
  report.library = library->name();
  for (const MatrixShape& shape : shapes) {
    std::optional<std::string> reason;
    if (shape.inputs % cuda::kLibraryInputs != 0) reason = "the inputs are not a multiple of 32";
    if (!reason) reason = library->prepare(shape, max_rows);
    if (!reason) reason = cuda::prove(stream_, *library, shape, max_rows);
    if (reason) {
      report.refused.push_back({shape, *reason});
    } else {
      report.proven.push_back(shape);
    }
  }
  library_ = std::make_unique<cuda::ProvenLibrary>(std::move(library), report.proven);
  stream_.library = library_.get();
  return report;
}

}  // namespace fathom::kernels
