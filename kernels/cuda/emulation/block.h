// Block: the threads of one CUDA block on one CPU thread, for tests without a GPU.
//
// Every thread of the block is a fiber; it runs until it waits at a barrier or for its warp. The order in
// which fibers get their turn is chosen by the test: a kernel whose result changes with it lacks a barrier.
// Shared memory is filled with NaNs before each block and guarded by canaries; a barrier that not all threads
// reach aborts. Not a performance model, and no proof that the device agrees: what it shows is that the lines
// of the kernel compute what they should in any order that barriers allow. Not thread-safe.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace fathom::kernels::cuda::emulation {

struct BlockIndex {
  int64_t x = 0, y = 0, z = 0;
  int64_t n_x = 1;
};

/// In which order threads of a block, and blocks of a grid, get their turn. kAscending: every thread as far
/// as it goes, thread by thread. The others: every warp as far as it goes, so that one may be a barrier ahead
/// of the next.
enum class Order { kAscending, kDescending, kShuffled };
void set_order(Order order);
Order order();

/// What a device would report as a launch failure: aborts.
[[noreturn]] void trap();

/// 0 .. n-1 in the chosen order; `round` varies the shuffle.
class Permutation {
 public:
  Permutation(int64_t n, uint64_t round);
  int64_t operator[](int64_t i) const { return (i * stride_ + first_) % n_; }

 private:
  int64_t n_;
  int64_t first_;
  int64_t stride_;
};

class Block {
 public:
  static constexpr size_t kSlotBytes = 48;

  explicit Block(int n_threads);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// The block of so many threads, made once: fibers are expensive to start.
  static Block& of(int n_threads);

  /// Runs body(thread) on every fiber until all have returned.
  void run(size_t shared_bytes, const std::function<void(int thread)>& body);

  void barrier(int thread);
  /// Waits until all lanes of the thread's warp are here with `bytes` of value each; `join` then turns the 32
  /// slots into what each lane gets back.
  void exchange(int thread, void* value, size_t bytes, const std::function<void(char* slots)>& join);
  char* shared() { return shared_; }

 private:
  struct Fiber;
  struct Meeting {
    int n_expected = 0;
    int n_arrived = 0;
    uint64_t n_done = 0;
  };
  struct Warp {
    Meeting meeting;
    alignas(16) char slots[2][32 * kSlotBytes];  // by turns, so that a fast lane cannot overwrite what others
                                                 // still read
  };

  /// Each of these threads as far as it goes; false when none could move.
  bool run_threads(int first, int n);
  /// Each warp until none of its threads can move; false when none could.
  bool run_warps();
  /// True for the last to come.
  bool arrive(Meeting& meeting);
  void wait(int thread, const Meeting& meeting, uint64_t until);
  void resume(Fiber& fiber);
  void yield(Fiber& fiber);
  static void fiber_main(unsigned int low, unsigned int high);

  int n_threads_;
  std::vector<char> shared_memory_;
  char* shared_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Warp> warps_;
  Meeting all_;
  const std::function<void(int)>* body_ = nullptr;
  std::jmp_buf scheduler_;
  uint64_t round_ = 0;
  int n_done_ = 0;
};

}  // namespace fathom::kernels::cuda::emulation
