// Simt: what a kernel asks of the machine it runs on: its place in the grid, barriers, warp reductions,
// tensor cores, shared memory and copies into it.
//
// A kernel is a struct with kThreads (a multiple of 32), kName, Params and
//   FATHOM_DEVICE static void run(const Simt& simt, const Params& params).
// nvcc compiles it for the device; a C++ compiler compiles the same lines for emulation/, which runs them
// thread by thread on the CPU: that is how kernels are tested where there is no GPU. Neither compiler may
// contract or reassociate (-fmad=false, -ffp-contract=off), so both compute the same bits but for double log,
// sin and cos.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define FATHOM_HD __host__ __device__
#define FATHOM_DEVICE __device__
#define FATHOM_UNROLL _Pragma("unroll")
#else
#define FATHOM_HD
#define FATHOM_DEVICE
#define FATHOM_UNROLL
#include "kernels/cuda/emulation/async_copies.h"
#include "kernels/cuda/emulation/block.h"
#include "kernels/cuda/emulation/tensor_core.h"
#endif

namespace fathom::kernels::cuda {

inline constexpr int kWarp = 32;

struct GridSize {
  int64_t x = 1, y = 1, z = 1;
};

/// What one load moves: 8 numbers of 16 bits, or 4 of 32.
struct alignas(16) Words {
  uint32_t w[4];
};

#ifdef __CUDACC__

class Simt {
 public:
  FATHOM_DEVICE explicit Simt(char* shared) : shared_(shared) {}

  FATHOM_DEVICE int thread() const { return static_cast<int>(threadIdx.x); }
  FATHOM_DEVICE int lane() const { return static_cast<int>(threadIdx.x) % kWarp; }
  FATHOM_DEVICE int warp() const { return static_cast<int>(threadIdx.x) / kWarp; }
  FATHOM_DEVICE int64_t block_x() const { return blockIdx.x; }
  FATHOM_DEVICE int64_t block_y() const { return blockIdx.y; }
  FATHOM_DEVICE int64_t block_z() const { return blockIdx.z; }
  FATHOM_DEVICE int64_t n_blocks_x() const { return gridDim.x; }

  /// All threads of the block must call it.
  FATHOM_DEVICE void barrier() const { __syncthreads(); }

  /// All lanes of the warp must call it: what they read and wrote before is done, and seen by the others.
  FATHOM_DEVICE void warp_barrier() const { __syncwarp(); }

  /// v of all 32 lanes joined by `op`, which must be symmetric, in the order of a butterfly: every lane gets
  /// the same bits. All lanes of the warp must call it.
  template <typename T, typename Op>
  FATHOM_DEVICE T warp_reduce(T v, const Op& op) const {
    for (int mask = kWarp / 2; mask > 0; mask /= 2) v = op(v, exchange(v, mask));
    return v;
  }

  /// sums += a b in fp32 for a [16, 16] and b [16, 8] of bf16 (mma.sync m16n8k16); the order in which the 16
  /// products of an element are added is the machine's, the same at every call. A lane (g, t) = (lane / 4,
  /// lane % 4) holds, as pairs of bf16, the lower index in the lower half: of a (g, 2t), (g + 8, 2t), (g, 2t
  /// + 8), (g + 8, 2t + 8); of b (2t, g), (2t + 8, g); and of sums (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8,
  /// 2t + 1). All lanes of the warp must call it.
  FATHOM_DEVICE void multiply_add(float (&sums)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) const {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }

  /// Starts to copy 16 bytes of global to shared memory, or to fill them with zeros, both 16-byte aligned.
  FATHOM_DEVICE void copy_async(void* to_shared, const void* from, bool zeros) const {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :
                 : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(to_shared))), "l"(from),
                   "r"(zeros ? 0 : 16)
                 : "memory");
  }
  /// The thread's copies since the last call become a group.
  FATHOM_DEVICE void close_copies() const { asm volatile("cp.async.commit_group;" ::: "memory"); }
  /// Waits for all of the thread's groups but the newest n_open. Others see the bytes after a barrier.
  template <int n_open>
  FATHOM_DEVICE void wait_copies() const {
    asm volatile("cp.async.wait_group %0;" ::"n"(n_open) : "memory");
  }

  /// 16 bytes that the kernel never writes and this multiprocessor does not want again.
  FATHOM_DEVICE Words load_once(const void* from) const {
    Words v;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
        : "l"(from));
    return v;
  }

  /// The block's shared memory from a byte offset on; 16-byte aligned at 0.
  template <typename T>
  FATHOM_DEVICE T* shared(size_t offset_bytes = 0) const {
    return reinterpret_cast<T*>(shared_ + offset_bytes);
  }

  /// Ends the launch with an error: an index that must not occur.
  FATHOM_DEVICE void fail() const { __trap(); }

 private:
  template <typename T>
  FATHOM_DEVICE static T exchange(const T& v, int mask) {
    static_assert(sizeof(T) % 4 == 0);
    uint32_t words[sizeof(T) / 4];
    memcpy(words, &v, sizeof v);
    for (uint32_t& word : words) word = __shfl_xor_sync(~0u, word, mask);
    T other;
    memcpy(&other, words, sizeof other);
    return other;
  }

  char* shared_;
};

#else

/// The emulated twin: one fiber's view of its emulation::Block.
class Simt {
 public:
  Simt(emulation::Block& block, const emulation::BlockIndex& index, int thread)
      : block_(block), index_(index), thread_(thread) {}

  int thread() const { return thread_; }
  int lane() const { return thread_ % kWarp; }
  int warp() const { return thread_ / kWarp; }
  int64_t block_x() const { return index_.x; }
  int64_t block_y() const { return index_.y; }
  int64_t block_z() const { return index_.z; }
  int64_t n_blocks_x() const { return index_.n_x; }
  void barrier() const { block_.barrier(thread_); }

  void warp_barrier() const {
    char nothing = 0;
    block_.exchange(thread_, &nothing, sizeof nothing, [](char*) {});
  }

  template <typename T, typename Op>
  T warp_reduce(T v, const Op& op) const {
    static_assert(sizeof(T) <= emulation::Block::kSlotBytes);
    block_.exchange(thread_, &v, sizeof v, [&](char* slots) {
      T lanes[kWarp];
      for (int i = 0; i < kWarp; ++i)
        std::memcpy(&lanes[i], slots + i * emulation::Block::kSlotBytes, sizeof(T));
      for (int mask = kWarp / 2; mask > 0; mask /= 2) {
        T next[kWarp];
        for (int i = 0; i < kWarp; ++i) next[i] = op(lanes[i], lanes[i ^ mask]);
        std::memcpy(lanes, next, sizeof lanes);
      }
      for (int i = 0; i < kWarp; ++i)
        std::memcpy(slots + i * emulation::Block::kSlotBytes, &lanes[i], sizeof(T));
    });
    return v;
  }

  void multiply_add(float (&sums)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) const {
    emulation::MmaLane mine;
    static_assert(sizeof mine <= emulation::Block::kSlotBytes);
    std::memcpy(mine.sums, sums, sizeof sums);
    std::memcpy(mine.a, a, sizeof a);
    std::memcpy(mine.b, b, sizeof b);
    block_.exchange(thread_, &mine, sizeof mine, emulation::multiply_add);
    std::memcpy(sums, mine.sums, sizeof sums);
  }

  void copy_async(void* to_shared, const void* from, bool zeros) const {
    copies_.start(to_shared, from, zeros);
  }
  void close_copies() const { copies_.close(); }
  template <int n_open>
  void wait_copies() const {
    copies_.wait(n_open);
  }

  Words load_once(const void* from) const {
    emulation::check_aligned(from);
    Words v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }

  template <typename T>
  T* shared(size_t offset_bytes = 0) const {
    return reinterpret_cast<T*>(block_.shared() + offset_bytes);
  }

  void fail() const { emulation::trap(); }

 private:
  mutable emulation::AsyncCopies copies_;
  emulation::Block& block_;
  const emulation::BlockIndex& index_;
  int thread_;
};

#endif

}  // namespace fathom::kernels::cuda
