// runtime.h with a device that is the CPU: its memory is the host's.
#include "kernels/cuda/runtime.h"

#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "kernels/cuda/library.h"

namespace fathom::kernels::cuda {

std::optional<std::string> why_unusable() {
  return std::nullopt;
}

std::string device_name() {
  return "emulated device";
}

std::string architecture() {
  return "emulated";
}

size_t memory_bytes() {
  return size_t{1} << 32;
}

std::unique_ptr<Library> open_library(std::string& why_not) {
  why_not = "an emulated device has no library";
  return nullptr;
}

size_t used_bytes() {
  return 0;
}

void* allocate(size_t bytes) {
  void* data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  FATHOM_CHECK(data != nullptr, "{} bytes", bytes);
  std::memset(data, 0, bytes);
  return data;
}

void release(void* data) {
  std::free(data);
}

void* create_stream() {
  return nullptr;
}

void destroy_stream(void*) {}

void copy_to_device(const Stream&, const void* from, void* to, size_t bytes) {
  std::memcpy(to, from, bytes);
}

void copy_to_host(const Stream&, const void* from, void* to, size_t bytes) {
  std::memcpy(to, from, bytes);
}

void check_launch_size(const char* kernel, const GridSize& grid, size_t shared_bytes) {
  FATHOM_CHECK(grid.x <= 0x7FFFFFFF && grid.y <= 65535 && grid.z <= 65535 && shared_bytes <= kMaxSharedBytes,
               "{}: {} x {} x {} blocks, {} bytes of shared memory", kernel, grid.x, grid.y, grid.z,
               shared_bytes);
}

void check_launched(const char*) {}

void require(bool condition, const char* what) {
  FATHOM_CHECK(condition, "{}", what);
}

}  // namespace fathom::kernels::cuda
