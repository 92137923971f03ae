// What this machine can do at best, measured: the roof that benchmarks are held against.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/thread_pool.h"

namespace fathom::kernels {

/// FLOP/s of independent fp32 fused multiply-adds in registers (2 FLOP each) on all of the pool's threads,
/// with the vectors that the CPU kernels use: the best of a few runs of a tenth of a second.
double measure_fma_peak(ThreadPool& pool);

/// The same for the dot products of --compute bf16 and int8 in registers, an addition and a multiplication of
/// a pair being 2 operations; absent where the machine has no such instruction.
std::optional<double> measure_bf16_peak(ThreadPool& pool);
std::optional<double> measure_int8_peak(ThreadPool& pool);

/// Bytes/s of reading memory that no cache holds, on all of the pool's threads: the best of a few sweeps over
/// half a GiB, less where the machine has little memory.
double measure_read_bandwidth(ThreadPool& pool);

/// Seconds that the pool's threads need to read every byte of `parts`, one part after the other, as
/// measure_read_bandwidth reads.
double measure_sweep(ThreadPool& pool, std::span<const std::span<const std::byte>> parts);

}  // namespace fathom::kernels
