#include "kernels/buffer.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "kernels/cuda/runtime.h"

namespace fathom::kernels {

Buffer::Buffer(Space space, size_t bytes) : space_(space), bytes_(bytes) {
  if (bytes == 0) return;
  if (space == Space::kCuda) {
    data_ = cuda::allocate(bytes);
    return;
  }
  void* map =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) {
    throw Error(ErrorKind::kEnvironment,
                fmt::format("cannot reserve {} MiB of memory: {}", bytes >> 20, std::strerror(errno)));
  }
  // Large pages where the kernel has them; a refusal changes speed only.
  ::madvise(map, bytes, MADV_HUGEPAGE);
  data_ = map;
}

Buffer::~Buffer() {
  if (data_ == nullptr) return;
  if (space_ == Space::kCuda) {
    cuda::release(data_);
  } else {
    ::munmap(data_, bytes_);
  }
}

Buffer::Buffer(Buffer&& other) noexcept
    : space_(other.space_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(space_, other.space_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Tensor Buffer::tensor(Dtype dtype, std::initializer_list<int64_t> dims) const {
  Tensor view(data_, dtype, dims, space_);
  FATHOM_CHECK(view.bytes() <= bytes_, "{} in a buffer of {} bytes", view.describe(), bytes_);
  return view;
}

}  // namespace fathom::kernels
