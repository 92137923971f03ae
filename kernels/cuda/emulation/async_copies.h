// A thread's asynchronous copies on the emulated device: they happen as late as they may, in wait(), so that
// a kernel that reads too early reads what was there before.
#pragma once

#include <cstddef>
#include <vector>

namespace fathom::kernels::cuda::emulation {

/// Aborts unless it is a multiple of 16.
void check_aligned(const void* address);

class AsyncCopies {
 public:
  void start(void* to, const void* from, bool zeros);
  void close() { ends_.push_back(copies_.size()); }
  /// Finishes all closed groups but the newest n_open.
  void wait(int n_open);

 private:
  struct Copy {
    void* to;
    const void* from;  // null: zeros
  };
  std::vector<Copy> copies_;  // not yet done, oldest first
  std::vector<size_t> ends_;  // of the groups among them
};

}  // namespace fathom::kernels::cuda::emulation
