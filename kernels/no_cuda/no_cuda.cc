// What links where there is no CUDA toolkit: no device, and operations that can therefore never be called.
#include "base/error.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/peaks.h"
#include "kernels/cuda/runtime.h"

namespace fathom::kernels::cuda {
namespace {

[[noreturn]] void not_built() {
  FATHOM_CHECK(false, "a CUDA operation in a build without CUDA");
  std::abort();
}

}  // namespace

std::optional<std::string> why_unusable() {
  return "this fathom was built without the CUDA toolkit (nvcc was not found)";
}

std::string device_name() {
  not_built();
}
std::string architecture() {
  not_built();
}
size_t memory_bytes() {
  not_built();
}
size_t used_bytes() {
  not_built();
}
void* allocate(size_t) {
  not_built();
}
void release(void*) {
  not_built();
}
void* create_stream() {
  not_built();
}
void destroy_stream(void*) {
  not_built();
}
void copy_to_device(const Stream&, const void*, void*, size_t) {
  not_built();
}
void copy_to_host(const Stream&, const void*, void*, size_t) {
  not_built();
}

std::unique_ptr<Library> open_library(std::string&) {
  not_built();
}
std::optional<std::string> prove(const Stream&, Library&, const MatrixShape&, int64_t) {
  not_built();
}

DevicePeaks measure_peaks(const Stream&, double) {
  not_built();
}

std::string kernel_set() {
  not_built();
}
std::string check_bf16_products() {
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
size_t linear_scratch_bytes(Compute, int64_t, int64_t) {
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
size_t expert_mlps_scratch_bytes(const ExpertMlpsShape&) {
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

}  // namespace fathom::kernels::cuda
