// Simt: what a kernel asks of the machine it runs on: its place in the grid, barriers, warp reductions,
// shared memory.
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
#include "kernels/cuda/emulation/block.h"
#endif

namespace fathom::kernels::cuda {

inline constexpr int kWarp = 32;

struct GridSize {
  int64_t x = 1, y = 1, z = 1;
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

  /// v of all 32 lanes joined by `op`, which must be symmetric, in the order of a butterfly: every lane gets
  /// the same bits. All lanes of the warp must call it.
  template <typename T, typename Op>
  FATHOM_DEVICE T warp_reduce(T v, const Op& op) const {
    for (int mask = kWarp / 2; mask > 0; mask /= 2) v = op(v, exchange(v, mask));
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

  template <typename T>
  T* shared(size_t offset_bytes = 0) const {
    return reinterpret_cast<T*>(block_.shared() + offset_bytes);
  }

  void fail() const { emulation::trap(); }

 private:
  emulation::Block& block_;
  const emulation::BlockIndex& index_;
  int thread_;
};

#endif

}  // namespace fathom::kernels::cuda
