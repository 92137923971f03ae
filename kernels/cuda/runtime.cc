// runtime.h with the CUDA runtime.
#include "kernels/cuda/runtime.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "base/error.h"

namespace fathom::kernels::cuda {
namespace {

/// The oldest devices with kernels here.
constexpr int kLeastMajor = 8;

std::string reason(cudaError_t status) {
  return fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status));
}

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next launch does not report it again
  throw Error(ErrorKind::kEngine, fmt::format("{}: {}", what, reason(status)), "CUDA");
}

cudaDeviceProp properties() {
  cudaDeviceProp properties;
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return properties;
}

/// Never destroyed: buffers may outlive every static object.
cudaMemPool_t pool() {
  static cudaMemPool_t pool = [] {
    cudaMemPoolProps props{};
    props.allocType = cudaMemAllocationTypePinned;
    props.handleTypes = cudaMemHandleTypeNone;
    props.location.type = cudaMemLocationTypeDevice;
    check(cudaGetDevice(&props.location.id), "cudaGetDevice");
    cudaMemPool_t made = nullptr;
    check(cudaMemPoolCreate(&made, &props), "cudaMemPoolCreate");
    return made;
  }();
  return pool;
}

cudaStream_t handle(const Stream& stream) {
  return static_cast<cudaStream_t>(stream.device);
}

}  // namespace

std::optional<std::string> why_unusable() {
  int n_devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&n_devices);
  if (status != cudaSuccess) {
    cudaGetLastError();
    return fmt::format("no CUDA device: {}", reason(status));
  }
  if (n_devices == 0) return "no CUDA device";
  const cudaDeviceProp device = properties();
  if (device.major < kLeastMajor) {
    return fmt::format("{} has compute capability {}.{}, at least {}.0 is needed", device.name, device.major,
                       device.minor, kLeastMajor);
  }
  if (device.memoryPoolsSupported == 0) return fmt::format("{} has no memory pools", device.name);
  return std::nullopt;
}

std::string device_name() {
  return properties().name;
}

std::string architecture() {
  const cudaDeviceProp device = properties();
  return fmt::format("sm_{}{}", device.major, device.minor);
}

size_t memory_bytes() {
  return properties().totalGlobalMem;
}

size_t used_bytes() {
  uint64_t bytes = 0;
  check(cudaMemPoolGetAttribute(pool(), cudaMemPoolAttrUsedMemCurrent, &bytes), "cudaMemPoolGetAttribute");
  return bytes;
}

void* allocate(size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMallocFromPoolAsync(&data, bytes, pool(), nullptr);
  if (status != cudaSuccess) {
    cudaGetLastError();
    size_t n_free = 0, n_total = 0;
    cudaMemGetInfo(&n_free, &n_total);
    throw Error(ErrorKind::kEnvironment,
                fmt::format("cannot reserve {} MiB on {}, {} of {} MiB are free: {}", bytes >> 20,
                            device_name(), n_free >> 20, n_total >> 20, reason(status)),
                "--device cuda");
  }
  check(cudaMemsetAsync(data, 0, bytes, nullptr), "cudaMemsetAsync");
  check(cudaStreamSynchronize(nullptr), "zeroing a buffer");
  return data;
}

void release(void* data) {
  // After a failed launch every call fails; there is nothing left to save then.
  cudaDeviceSynchronize();
  cudaFreeAsync(data, nullptr);
}

void* create_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}

void destroy_stream(void* stream) {
  cudaStreamDestroy(static_cast<cudaStream_t>(stream));
}

void copy_to_device(const Stream& stream, const void* from, void* to, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, handle(stream)), "copying to the device");
}

void copy_to_host(const Stream& stream, const void* from, void* to, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, handle(stream)), "copying from the device");
  check(cudaStreamSynchronize(handle(stream)), "the work before a copy from the device");
}

void check_launch_size(const char* kernel, const GridSize& grid, size_t shared_bytes) {
  constexpr int64_t kMost = 65535;  // of y and z
  FATHOM_CHECK(grid.x <= 0x7FFFFFFF && grid.y <= kMost && grid.z <= kMost && shared_bytes <= kMaxSharedBytes,
               "{}: {} x {} x {} blocks, {} bytes of shared memory", kernel, grid.x, grid.y, grid.z,
               shared_bytes);
}

void check_launched(const char* kernel) {
  check(cudaGetLastError(), kernel);
}

void require(bool condition, const char* what) {
  FATHOM_CHECK(condition, "{}", what);
}

}  // namespace fathom::kernels::cuda
