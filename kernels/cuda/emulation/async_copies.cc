#include "kernels/cuda/emulation/async_copies.h"

#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace fathom::kernels::cuda::emulation {
namespace {

constexpr size_t kBytes = 16;

}  // namespace

void check_aligned(const void* address) {
  FATHOM_CHECK(reinterpret_cast<uintptr_t>(address) % kBytes == 0, "16 bytes at {}", address);
}

void AsyncCopies::start(void* to, const void* from, bool zeros) {
  check_aligned(to);
  check_aligned(from);
  copies_.push_back({to, zeros ? nullptr : from});
}

void AsyncCopies::wait(int n_open) {
  const auto n_groups = static_cast<int>(ends_.size()) - n_open;
  if (n_groups <= 0) return;
  const size_t n = ends_[static_cast<size_t>(n_groups) - 1];
  for (size_t i = 0; i < n; ++i) {
    if (copies_[i].from == nullptr) {
      std::memset(copies_[i].to, 0, kBytes);
    } else {
      std::memcpy(copies_[i].to, copies_[i].from, kBytes);
    }
  }
  copies_.erase(copies_.begin(), copies_.begin() + static_cast<std::ptrdiff_t>(n));
  ends_.erase(ends_.begin(), ends_.begin() + n_groups);
  for (size_t& end : ends_) end -= n;
}

}  // namespace fathom::kernels::cuda::emulation
