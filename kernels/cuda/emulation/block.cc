#include "kernels/cuda/emulation/block.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numeric>

#include "base/error.h"

namespace fathom::kernels::cuda::emulation {
namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kGuardBytes = 256;
constexpr char kGuard = 0x5A;

Order g_order = Order::kAscending;

}  // namespace

void set_order(Order order) {
  g_order = order;
}
Order order() {
  return g_order;
}

void trap() {
  std::fputs("emulated kernel: an index that must not occur\n", stderr);
  std::abort();
}

Permutation::Permutation(int64_t n, uint64_t round) : n_(n), first_(0), stride_(1) {
  if (g_order == Order::kDescending) {
    first_ = n - 1;
    stride_ = n - 1;  // -1
  } else if (g_order == Order::kShuffled) {
    first_ = static_cast<int64_t>(round % static_cast<uint64_t>(n));
    // A stride that shares no factor with n visits every index once.
    stride_ = static_cast<int64_t>((round * 0x9E3779B97F4A7C15u) >> 33) % n | 1;
    while (std::gcd(stride_, n) != 1) ++stride_;
  }
}

struct Block::Fiber {
  Block* block = nullptr;
  int thread = 0;
  ucontext_t start;
  std::jmp_buf place;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  bool started = false;
  bool done = true;
  const uint64_t* waits_for = nullptr;  // runnable again when it reaches `until`
  uint64_t until = 0;
};

Block& Block::of(int n_threads) {
  static std::map<int, std::unique_ptr<Block>> blocks;
  std::unique_ptr<Block>& block = blocks[n_threads];
  if (block == nullptr) block = std::make_unique<Block>(n_threads);
  return *block;
}

Block::Block(int n_threads) : n_threads_(n_threads), warps_(static_cast<size_t>(n_threads / 32)) {
  FATHOM_CHECK(n_threads > 0 && n_threads % 32 == 0 && n_threads <= 1024, "{} threads", n_threads);
  all_.n_expected = n_threads;
  for (Warp& warp : warps_) warp.meeting.n_expected = 32;
  for (int i = 0; i < n_threads; ++i) {
    Fiber& fiber = *fibers_.emplace_back(std::make_unique<Fiber>());
    fiber.block = this;
    fiber.thread = i;
    ::getcontext(&fiber.start);
    fiber.start.uc_stack = {.ss_sp = fiber.stack.get(), .ss_flags = 0, .ss_size = kStackBytes};
    fiber.start.uc_link = nullptr;
    const auto address = reinterpret_cast<uintptr_t>(&fiber);
    ::makecontext(&fiber.start, reinterpret_cast<void (*)()>(&Block::fiber_main), 2,
                  static_cast<unsigned int>(address), static_cast<unsigned int>(address >> 32));
  }
}

Block::~Block() = default;

void Block::fiber_main(unsigned int low, unsigned int high) {
  Fiber& fiber = *reinterpret_cast<Fiber*>((static_cast<uintptr_t>(high) << 32) | low);
  // One life for all blocks of a grid: starting a fiber costs more than running it.
  while (true) {
    (*fiber.block->body_)(fiber.thread);
    fiber.done = true;
    fiber.block->yield(fiber);
  }
}

void Block::resume(Fiber& fiber) {
  if (_setjmp(scheduler_) != 0) return;
  if (fiber.started) _longjmp(fiber.place, 1);
  fiber.started = true;
  ::setcontext(&fiber.start);
}

void Block::yield(Fiber& fiber) {
  if (_setjmp(fiber.place) == 0) _longjmp(scheduler_, 1);
}

void Block::run(size_t shared_bytes, const std::function<void(int)>& body) {
  body_ = &body;
  shared_memory_.assign(shared_bytes + 2 * kGuardBytes + 16, kGuard);
  char* begin = shared_memory_.data() + kGuardBytes;
  shared_ = begin + (16 - reinterpret_cast<uintptr_t>(begin) % 16) % 16;
  std::memset(shared_, 0xFF, shared_bytes);
  for (const auto& fiber : fibers_) fiber->done = false;
  n_done_ = 0;
  while (n_done_ < n_threads_) {
    ++round_;
    FATHOM_CHECK(g_order == Order::kAscending ? run_threads(0, n_threads_) : run_warps(),
                 "{} of {} threads ended while the others wait at a barrier", n_done_, n_threads_);
  }
  const auto is_guard = [](char c) { return c == kGuard; };
  FATHOM_CHECK(
      std::all_of(shared_memory_.data(), shared_, is_guard) &&
          std::all_of(shared_ + shared_bytes, shared_memory_.data() + shared_memory_.size(), is_guard),
      "a thread wrote outside the {} bytes of shared memory", shared_bytes);
}

bool Block::run_threads(int first, int n) {
  bool moved = false;
  const Permutation order(n, round_);
  for (int64_t i = 0; i < n; ++i) {
    Fiber& fiber = *fibers_[static_cast<size_t>(first + order[i])];
    if (fiber.done || (fiber.waits_for != nullptr && *fiber.waits_for < fiber.until)) continue;
    fiber.waits_for = nullptr;
    resume(fiber);
    moved = true;
    if (fiber.done) ++n_done_;
  }
  return moved;
}

bool Block::run_warps() {
  bool moved = false;
  const Permutation order(std::ssize(warps_), round_);
  for (int64_t w = 0; w < std::ssize(warps_); ++w) {
    while (run_threads(static_cast<int>(order[w]) * 32, 32)) moved = true;
  }
  return moved;
}

bool Block::arrive(Meeting& meeting) {
  if (++meeting.n_arrived < meeting.n_expected) return false;
  meeting.n_arrived = 0;
  return true;
}

void Block::wait(int thread, const Meeting& meeting, uint64_t until) {
  Fiber& fiber = *fibers_[static_cast<size_t>(thread)];
  fiber.waits_for = &meeting.n_done;
  fiber.until = until;
  yield(fiber);
}

void Block::barrier(int thread) {
  const uint64_t until = all_.n_done + 1;
  if (arrive(all_)) ++all_.n_done;
  wait(thread, all_, until);  // the last to come, too: its turn is the order's to choose
}

void Block::exchange(int thread, void* value, size_t bytes, const std::function<void(char*)>& join) {
  Warp& warp = warps_[static_cast<size_t>(thread / 32)];
  const uint64_t until = warp.meeting.n_done + 1;
  char* slots = warp.slots[until % 2];
  char* slot = slots + static_cast<size_t>(thread % 32) * kSlotBytes;
  std::memcpy(slot, value, bytes);
  if (arrive(warp.meeting)) {
    join(slots);
    ++warp.meeting.n_done;
  } else {
    wait(thread, warp.meeting, until);
  }
  std::memcpy(value, slot, bytes);
}

}  // namespace fathom::kernels::cuda::emulation
