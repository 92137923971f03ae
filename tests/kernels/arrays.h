// Test data for kernels: arrays that own their numbers, seeded random values, and the spaces and instruction
// sets to run on.
//
// The same tests make three binaries: kernels_test on the CPU, kernels_emulated_test with the CUDA kernels on
// an emulated device, kernels_cuda_test on a real one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/buffer.h"
#include "kernels/device.h"
#include "kernels/kernels.h"
#include "tests/space_under_test.h"

namespace fathom::kernels {

/// Draws in a fixed order; splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  /// Uniform in [low, high).
  double uniform(double low, double high);
  /// Uniform in [low, high], both ends included.
  int64_t integer(int64_t low, int64_t high);

 private:
  uint64_t state_;
};

/// A tensor that owns its elements. On a device, tensor() brings them there and looking at them brings them
/// back.
class Array {
 public:
  Array(Dtype dtype, std::vector<int64_t> shape);
  ~Array() = default;
  Array(const Array& other);
  Array& operator=(const Array&) = delete;
  Array(Array&&) = default;
  Array& operator=(Array&&) = default;
  static Array uniform(Random& random, Dtype dtype, std::vector<int64_t> shape, double low = -1.0,
                       double high = 1.0);
  static Array of(const std::vector<float>& values, std::vector<int64_t> shape);
  static Array of_ints(const std::vector<int32_t>& values, std::vector<int64_t> shape);

  Tensor tensor() const;
  int64_t size() const { return static_cast<int64_t>(bytes_.size() / dtype_bytes(dtype_)); }
  /// Element i widened, whatever the dtype.
  double at(int64_t i) const;
  /// For F32 and I32 arrays.
  float* floats() { return reinterpret_cast<float*>(host()); }
  int32_t* ints() { return reinterpret_cast<int32_t*>(host()); }
  std::span<const float> values() const;
  std::span<const int32_t> int_values() const;
  std::vector<double> doubles() const;

 private:
  /// The bytes, brought back if the device has newer ones.
  std::byte* host() const;

  Dtype dtype_;
  std::vector<int64_t> shape_;
  mutable std::vector<std::byte> bytes_;
  mutable std::unique_ptr<Buffer> device_;  // made by the first tensor()
  mutable bool device_is_newer_ = false;
};

constexpr Dtype kWeightDtypes[] = {Dtype::kF32, Dtype::kBF16, Dtype::kF16};

/// kF32, and kBF16 but on a CPU that lacks the instructions.
std::vector<Compute> plain_computes();
/// The number that an operand of `compute` counts as.
double as_operand(Compute compute, double value);

/// A pool and its stream; on a device, the stream that all tests share.
class TestStream {
 public:
  explicit TestStream(int n_threads = 2);
  operator const Stream&() const { return stream_; }

 private:
  ThreadPool pool_;
  Stream stream_;
};

/// Runs body once on every instruction set that the kernels have and this machine supports, the scalar one
/// included, with a trace that names it. On a device: in every order.
void on_every_instruction_set(const std::function<void()>& body);

}  // namespace fathom::kernels
