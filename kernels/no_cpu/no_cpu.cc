// What links where there is a CUDA toolkit and no Highway (tools/build_gpu_tests.sh): a CPU without kernels,
// never called.
#include <cstdlib>

#include "base/error.h"
#include "kernels/cpu/cpu.h"

namespace fathom::kernels::cpu {
namespace {

[[noreturn]] void not_built() {
  FATHOM_CHECK(false, "a CPU operation in a build for a device alone");
  std::abort();
}

}  // namespace

std::string kernel_set() {
  not_built();
}
std::string instruction_set() {
  not_built();
}
std::optional<std::string> compute_refusal(Compute) {
  not_built();
}
void check_instruction_set() {
  not_built();
}
void gather_rows(const Stream&, const GatherRows&) {
  not_built();
}
void convert(const Stream&, const Convert&) {
  not_built();
}
void rms_norm(const Stream&, const RmsNorm&) {
  not_built();
}
void add(const Stream&, const Add&) {
  not_built();
}
void silu_mul(const Stream&, const SiluMul&) {
  not_built();
}
void mark_non_finite(const Stream&, const MarkNonFinite&) {
  not_built();
}
void linear(const Stream&, const Linear&) {
  not_built();
}
size_t linear_scratch_bytes(const Stream&, Compute, int64_t, int64_t) {
  not_built();
}
void rope_table(const Stream&, const RopeTable&) {
  not_built();
}
void rope(const Stream&, const Rope&) {
  not_built();
}
void write_latents(const Stream&, const WriteLatents&) {
  not_built();
}
void mla_expanded(const Stream&, const Mla&) {
  not_built();
}
size_t mla_expanded_scratch_bytes(const MlaShape&, int64_t, int64_t) {
  not_built();
}
void mla_absorbed(const Stream&, const Mla&) {
  not_built();
}
size_t mla_absorbed_scratch_bytes(const MlaShape&, int64_t) {
  not_built();
}
void route(const Stream&, const Route&) {
  not_built();
}
void expert_mlps(const Stream&, const ExpertMlps&) {
  not_built();
}
size_t expert_mlps_scratch_bytes(const Stream&, const ExpertMlpsShape&) {
  not_built();
}
void log_softmax_gather(const Stream&, const LogSoftmaxGather&) {
  not_built();
}
void top_logprobs(const Stream&, const TopLogprobs&) {
  not_built();
}
void sample(const Stream&, const Sample&) {
  not_built();
}
size_t sample_scratch_bytes(int64_t, int64_t) {
  not_built();
}

}  // namespace fathom::kernels::cpu
