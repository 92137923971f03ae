// The CUDA twin of each operation of kernels.h. Called by kernels.cc alone, with shapes already checked;
// tensors lie in device memory. Without the CUDA toolkit no_cuda/ holds the same functions, which can never
// be called.
#pragma once

#include <string>

#include "kernels/kernels.h"

namespace fathom::kernels::cuda {

std::string kernel_set();

/// Multiplies small matrices by every kernel of --compute bf16: each element must agree with a scalar twin,
/// and the kernels with each other bit for bit. Empty, or what is wrong.
std::string check_bf16_products();

void gather_rows(const Stream& stream, const GatherRows& args);
void convert(const Stream& stream, const Convert& args);
void rms_norm(const Stream& stream, const RmsNorm& args);
void add(const Stream& stream, const Add& args);
void silu_mul(const Stream& stream, const SiluMul& args);
void mark_non_finite(const Stream& stream, const MarkNonFinite& args);
void linear(const Stream& stream, const Linear& args);
size_t linear_scratch_bytes(Compute compute, int64_t max_rows, int64_t max_inputs);
void rope_table(const Stream& stream, const RopeTable& args);
void rope(const Stream& stream, const Rope& args);
void write_latents(const Stream& stream, const WriteLatents& args);
void mla_expanded(const Stream& stream, const Mla& args);
size_t mla_expanded_scratch_bytes(const MlaShape& shape, int64_t max_rows, int64_t max_runs);
void mla_absorbed(const Stream& stream, const Mla& args);
size_t mla_absorbed_scratch_bytes(const MlaShape& shape, int64_t max_rows);
void route(const Stream& stream, const Route& args);
void expert_mlps(const Stream& stream, const ExpertMlps& args);
size_t expert_mlps_scratch_bytes(const ExpertMlpsShape& shape);
void log_softmax_gather(const Stream& stream, const LogSoftmaxGather& args);
void top_logprobs(const Stream& stream, const TopLogprobs& args);
void sample(const Stream& stream, const Sample& args);
size_t sample_scratch_bytes(int64_t max_rows, int64_t vocab_size);

}  // namespace fathom::kernels::cuda
