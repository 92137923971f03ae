// The device itself: whether there is one, its memory, its streams. No CUDA header is needed to use this one.
//
// runtime.cc asks the CUDA runtime, emulation/runtime.cc plays a device in host memory, and no_cuda/ says
// that there is none. One device per process: the current one.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "kernels/cuda/simt.h"
#include "kernels/kernels.h"

namespace fathom::kernels::cuda {

/// Shared memory of a block: up to kPlainSharedBytes for the asking, up to kMaxSharedBytes by an opt-in
/// (launch.h), which every device of compute capability 8.0 and later gives.
inline constexpr size_t kPlainSharedBytes = 48 << 10;
inline constexpr size_t kMaxSharedBytes = 96 << 10;

/// Why no device can be used, in a sentence; nothing when one can.
std::optional<std::string> why_unusable();
/// "NVIDIA H100 80GB HBM3"
std::string device_name();
/// "sm_90"
std::string architecture();
/// All of the device's memory.
size_t memory_bytes();
/// What allocate() has handed out and release() has not taken back.
size_t used_bytes();

/// Zero-filled memory from the process's one pool, 256-byte aligned. Throws Error{kEnvironment} when there is
/// no room.
void* allocate(size_t bytes);
void release(void* data);

void* create_stream();
void destroy_stream(void* stream);

/// `from` may be reused on return.
void copy_to_device(const Stream& stream, const void* from, void* to, size_t bytes);
/// Waits for all earlier work of the stream. Throws Error{kEngine} when any of it failed.
void copy_to_host(const Stream& stream, const void* from, void* to, size_t bytes);

/// FATHOM_CHECKs that the device can take such a launch.
void check_launch_size(const char* kernel, const GridSize& grid, size_t shared_bytes);
/// Throws Error{kEngine} when the last launch was refused.
void check_launched(const char* kernel);
/// FATHOM_CHECK for files that nvcc compiles.
void require(bool condition, const char* what);

}  // namespace fathom::kernels::cuda
