#include "tests/kernels/arrays.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernels/rounding.h"

namespace fathom::kernels {
namespace {

int64_t product(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t dim : shape) n *= dim;
  return n;
}

/// The stream of all tests on a device.
const Stream& device_stream() {
  static const OwnedStream* const kStream = new OwnedStream(Space::kCuda, nullptr);  // outlives every static
  return kStream->stream();
}

}  // namespace

std::vector<Compute> plain_computes() {
  std::vector<Compute> all = {Compute::kF32};
  // A device that refuses is a failure: only CPUs may lack the instructions.
  if (space_under_test() != Space::kCpu || !compute_refusal(Space::kCpu, Compute::kBF16))
    all.push_back(Compute::kBF16);
  return all;
}

double as_operand(Compute compute, double value) {
  return compute == Compute::kBF16 ? from_bf16(to_bf16(static_cast<float>(value))) : value;
}

TestStream::TestStream(int n_threads)
    : pool_(n_threads),
      stream_(space_under_test() == Space::kCpu ? Stream{.space = Space::kCpu, .pool = &pool_}
                                                : device_stream()) {}

uint64_t Random::bits() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

double Random::uniform(double low, double high) {
  return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1.0p-53;
}

int64_t Random::integer(int64_t low, int64_t high) {
  return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
}

Array::Array(Dtype dtype, std::vector<int64_t> shape)
    : dtype_(dtype),
      shape_(std::move(shape)),
      bytes_(static_cast<size_t>(product(shape_)) * dtype_bytes(dtype)) {}

Array::Array(const Array& other) : dtype_(other.dtype_), shape_(other.shape_) {
  other.host();
  bytes_ = other.bytes_;
}

std::byte* Array::host() const {
  if (device_is_newer_) {
    device_is_newer_ = false;
    download(device_stream(), device_->tensor(dtype_, {size()}), bytes_);
  }
  return bytes_.data();
}

Array Array::uniform(Random& random, Dtype dtype, std::vector<int64_t> shape, double low, double high) {
  Array array(dtype, std::move(shape));
  for (int64_t i = 0; i < array.size(); ++i) {
    const auto value = static_cast<float>(random.uniform(low, high));
    if (dtype == Dtype::kF32) {
      array.floats()[i] = value;
    } else {
      const uint16_t half =
          dtype == Dtype::kBF16 ? to_bf16(value) : std::bit_cast<uint16_t>(static_cast<_Float16>(value));
      std::memcpy(array.bytes_.data() + 2 * i, &half, 2);
    }
  }
  return array;
}

Array Array::of(const std::vector<float>& values, std::vector<int64_t> shape) {
  Array array(Dtype::kF32, std::move(shape));
  FATHOM_CHECK(array.size() == static_cast<int64_t>(values.size()));
  std::memcpy(array.bytes_.data(), values.data(), array.bytes_.size());
  return array;
}

Array Array::of_ints(const std::vector<int32_t>& values, std::vector<int64_t> shape) {
  Array array(Dtype::kI32, std::move(shape));
  FATHOM_CHECK(array.size() == static_cast<int64_t>(values.size()));
  if (!values.empty()) std::memcpy(array.bytes_.data(), values.data(), array.bytes_.size());
  return array;
}

Tensor Array::tensor() const {
  void* data = bytes_.data();
  const Space space = space_under_test();
  if (space == Space::kCuda) {
    if (device_ == nullptr) device_ = std::make_unique<Buffer>(space, bytes_.size());
    if (!device_is_newer_) upload(device_stream(), bytes_, device_->tensor(dtype_, {size()}));
    device_is_newer_ = true;
    data = device_->scratch().data;
  }
  switch (shape_.size()) {
    case 1:
      return {data, dtype_, {shape_[0]}, space};
    case 2:
      return {data, dtype_, {shape_[0], shape_[1]}, space};
    default:
      return {data, dtype_, {shape_.at(0), shape_.at(1), shape_.at(2)}, space};
  }
}

double Array::at(int64_t i) const {
  if (dtype_ == Dtype::kF32) return values()[static_cast<size_t>(i)];
  if (dtype_ == Dtype::kI32) return int_values()[static_cast<size_t>(i)];
  uint16_t half;
  std::memcpy(&half, host() + 2 * i, 2);
  if (dtype_ == Dtype::kBF16) return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
  return static_cast<double>(std::bit_cast<_Float16>(half));
}

std::span<const float> Array::values() const {
  return {reinterpret_cast<const float*>(host()), static_cast<size_t>(size())};
}

std::span<const int32_t> Array::int_values() const {
  return {reinterpret_cast<const int32_t*>(host()), static_cast<size_t>(size())};
}

std::vector<double> Array::doubles() const {
  std::vector<double> all(static_cast<size_t>(size()));
  for (int64_t i = 0; i < size(); ++i) all[static_cast<size_t>(i)] = at(i);
  return all;
}

}  // namespace fathom::kernels
