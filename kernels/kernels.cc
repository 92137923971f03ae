// The shape law of every operation, and the way to its twin.
#include "kernels/kernels.h"

#include <cstring>

#include "base/error.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/runtime.h"

namespace fathom::kernels {
namespace {

void check_space(const Stream& stream) {
  FATHOM_CHECK(stream.space == Space::kCuda || stream.pool != nullptr, "a CPU stream needs a thread pool");
}

bool on_device(const Stream& stream) {
  return stream.space == Space::kCuda;
}

void require(const Tensor& tensor, Dtype dtype, std::initializer_list<int64_t> shape, const char* what) {
  FATHOM_CHECK(tensor.dtype == dtype && tensor.has_shape(shape), "{} is {}", what, tensor.describe());
}

bool is_plain(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kBF16 || dtype == Dtype::kF16;
}

/// F32, BF16 or F16.
void require_plain(const Tensor& tensor, std::initializer_list<int64_t> shape, const char* what) {
  FATHOM_CHECK(is_plain(tensor.dtype) && tensor.has_shape(shape), "{} is {}", what, tensor.describe());
}

/// Plain, or quantised with scales.
void require_matrix(const Tensor& tensor, std::initializer_list<int64_t> shape, const char* what) {
  if (!is_quantised(tensor.dtype)) return require_plain(tensor, shape, what);
  const Scales& s = tensor.scales;
  const bool integers = tensor.dtype != Dtype::kF8E4M3;
  FATHOM_CHECK(tensor.has_shape(shape) && s.data != nullptr && s.rows > 0 && s.columns > 0 &&
                   s.columns % 32 == 0 && (!integers || s.rows == 1) &&
                   (tensor.dtype != Dtype::kI4 || tensor.shape[1] % 8 == 0),
               "{} is {}, scales of {} x {}", what, tensor.describe(), s.rows, s.columns);
}

void require_rank(const Tensor& tensor, int rank, const char* what) {
  FATHOM_CHECK(tensor.rank == rank, "{} is {}", what, tensor.describe());
}

void require_scratch(const Scratch& scratch, size_t bytes, const char* what) {
  FATHOM_CHECK(scratch.bytes >= bytes, "{}: {} bytes of scratch, {} needed", what, scratch.bytes, bytes);
}

/// [n_blocks, 64, numbers of a row] F32, or [n_blocks, 64, bytes of a row] U8.
void require_latents(const Tensor& cache, LatentFormat format, int64_t rank, int64_t rope, const char* what) {
  const bool plain = format == LatentFormat::kF32;
  require(cache, plain ? Dtype::kF32 : Dtype::kU8,
          {cache.shape[0], kBlockTokens, plain ? rank + rope : LatentLayout(format, rank, rope).row_bytes},
          what);
}

void check_mla(const Mla& args) {
  const MlaShape& s = args.shape;
  const int64_t n_rows = args.q.shape[0];
  require(args.q, Dtype::kF32, {n_rows, s.num_heads, s.qk()}, "mla q");
  require_latents(args.cache, args.format, s.rank, s.rope, "mla cache");
  require(args.block_table, Dtype::kI32, {args.block_table.shape[0], args.block_table.shape[1]},
          "mla block_table");
  require(args.runs, Dtype::kI32, {args.runs.shape[0], 4}, "mla runs");
  require_plain(args.kv_b, {s.num_heads * (s.nope + s.v), s.rank}, "mla kv_b");
  require(args.out, Dtype::kF32, {n_rows, s.num_heads, s.v}, "mla out");
}

}  // namespace

std::string_view compute_name(Compute compute) {
  switch (compute) {
    case Compute::kF32:
      return "fp32";
    case Compute::kBF16:
      return "bf16";
    case Compute::kI8:
      return "int8";
  }
  FATHOM_CHECK(false, "compute {}", static_cast<int>(compute));
}

std::optional<std::string> compute_refusal(Space space, Compute compute) {
  if (space == Space::kCpu) return cpu::compute_refusal(compute);
  if (compute == Compute::kI8) return "the CUDA kernels compute in fp32 and bf16, not in int8";
  if (compute == Compute::kF32) return std::nullopt;
  static const std::string wrong = cuda::check_bf16_products();
  if (wrong.empty()) return std::nullopt;
  return "the self-check failed: " + wrong;
}

void check_kernels(Space space) {
  if (space == Space::kCpu) cpu::check_instruction_set();
}

std::string kernel_set(Space space) {
  return space == Space::kCuda ? cuda::kernel_set() : cpu::kernel_set();
}
std::string instruction_set(Space space) {
  return space == Space::kCuda ? cuda::architecture() : cpu::instruction_set();
}

void upload(const Stream& stream, std::span<const std::byte> bytes, const Tensor& to) {
  check_space(stream);
  FATHOM_CHECK(bytes.size() <= to.bytes(), "{} bytes into {}", bytes.size(), to.describe());
  if (bytes.empty()) return;
  if (on_device(stream)) return cuda::copy_to_device(stream, bytes.data(), to.data, bytes.size());
  std::memcpy(to.data, bytes.data(), bytes.size());
}

void download(const Stream& stream, const Tensor& from, std::span<std::byte> bytes) {
  check_space(stream);
  FATHOM_CHECK(bytes.size() <= from.bytes(), "{} bytes out of {}", bytes.size(), from.describe());
  if (bytes.empty()) return;
  if (on_device(stream)) return cuda::copy_to_host(stream, from.data, bytes.data(), bytes.size());
  std::memcpy(bytes.data(), from.data, bytes.size());
}

void gather_rows(const Stream& stream, const GatherRows& args) {
  check_space(stream);
  require_plain(args.table, {args.table.shape[0], args.table.shape[1]}, "gather_rows table");
  require(args.rows, Dtype::kI32, {args.rows.shape[0]}, "gather_rows rows");
  require(args.out, Dtype::kF32, {args.rows.shape[0], args.table.shape[1]}, "gather_rows out");
  if (on_device(stream)) return cuda::gather_rows(stream, args);
  cpu::gather_rows(stream, args);
}

void convert(const Stream& stream, const Convert& args) {
  check_space(stream);
  FATHOM_CHECK(is_plain(args.from.dtype) && (args.to.dtype == Dtype::kF32 || args.to.dtype == Dtype::kBF16) &&
                   args.from.elements() == args.to.elements(),
               "convert {} to {}", args.from.describe(), args.to.describe());
  if (on_device(stream)) return cuda::convert(stream, args);
  cpu::convert(stream, args);
}

void rms_norm(const Stream& stream, const RmsNorm& args) {
  check_space(stream);
  const int64_t t = args.x.shape[0];
  const int64_t n = args.x.shape[1];
  require(args.x, Dtype::kF32, {t, n}, "rms_norm x");
  if (args.add.data != nullptr) require(args.add, Dtype::kF32, {t, n}, "rms_norm add");
  require_plain(args.weight, {n}, "rms_norm weight");
  require(args.out, Dtype::kF32, {t, n}, "rms_norm out");
  if (on_device(stream)) return cuda::rms_norm(stream, args);
  cpu::rms_norm(stream, args);
}

void add(const Stream& stream, const Add& args) {
  check_space(stream);
  require(args.x, Dtype::kF32, {args.x.shape[0], args.x.shape[1]}, "add x");
  require(args.delta, Dtype::kF32, {args.x.shape[0], args.x.shape[1]}, "add delta");
  if (on_device(stream)) return cuda::add(stream, args);
  cpu::add(stream, args);
}

void silu_mul(const Stream& stream, const SiluMul& args) {
  check_space(stream);
  require(args.gate, Dtype::kF32, {args.gate.shape[0], args.gate.shape[1]}, "silu_mul gate");
  require(args.up, Dtype::kF32, {args.gate.shape[0], args.gate.shape[1]}, "silu_mul up");
  if (on_device(stream)) return cuda::silu_mul(stream, args);
  cpu::silu_mul(stream, args);
}

void mark_non_finite(const Stream& stream, const MarkNonFinite& args) {
  check_space(stream);
  FATHOM_CHECK(args.x.dtype == Dtype::kF32, "mark_non_finite x is {}", args.x.describe());
  require(args.flags, Dtype::kI32, {args.flags.shape[0]}, "mark_non_finite flags");
  FATHOM_CHECK(args.index >= 0 && args.index < args.flags.shape[0], "flag {}", args.index);
  if (on_device(stream)) return cuda::mark_non_finite(stream, args);
  cpu::mark_non_finite(stream, args);
}

void linear(const Stream& stream, const Linear& args) {
  check_space(stream);
  const int64_t t = args.x.shape[0];
  const int64_t k = args.x.shape[1];
  const int64_t n = args.weight.shape[0];
  require(args.x, Dtype::kF32, {t, k}, "linear x");
  require_matrix(args.weight, {n, k}, "linear weight");
  if (args.bias.data != nullptr) require_plain(args.bias, {n}, "linear bias");
  require(args.out, Dtype::kF32, {t, n}, "linear out");
  require_scratch(args.scratch, linear_scratch_bytes(stream, args.compute, t, k), "linear");
  if (on_device(stream)) return cuda::linear(stream, args);
  cpu::linear(stream, args);
}

size_t linear_scratch_bytes(const Stream& stream, Compute compute, int64_t max_rows, int64_t max_inputs) {
  check_space(stream);
  if (on_device(stream)) return cuda::linear_scratch_bytes(compute, max_rows, max_inputs);
  return cpu::linear_scratch_bytes(stream, compute, max_rows, max_inputs);
}

void rope_table(const Stream& stream, const RopeTable& args) {
  check_space(stream);
  require(args.positions, Dtype::kI32, {args.positions.shape[0]}, "rope_table positions");
  require(args.inv_freq, Dtype::kF32, {args.inv_freq.shape[0]}, "rope_table inv_freq");
  require(args.out, Dtype::kF32, {args.positions.shape[0], 2 * args.inv_freq.shape[0]}, "rope_table out");
  if (on_device(stream)) return cuda::rope_table(stream, args);
  cpu::rope_table(stream, args);
}

void rope(const Stream& stream, const Rope& args) {
  check_space(stream);
  require_rank(args.x, 3, "rope x");
  require(args.table, Dtype::kF32, {args.x.shape[0], args.table.shape[1]}, "rope table");
  FATHOM_CHECK(
      args.x.dtype == Dtype::kF32 && args.table.shape[1] <= args.x.shape[2] && args.table.shape[1] % 2 == 0,
      "rope x is {}, table {}", args.x.describe(), args.table.describe());
  if (on_device(stream)) return cuda::rope(stream, args);
  cpu::rope(stream, args);
}

void write_latents(const Stream& stream, const WriteLatents& args) {
  check_space(stream);
  const int64_t t = args.kv.shape[0];
  const int64_t rank = args.weight.shape[0];
  const int64_t dr = args.table.shape[1];
  require(args.kv, Dtype::kF32, {t, rank + dr}, "write_latents kv");
  require_plain(args.weight, {rank}, "write_latents weight");
  require(args.table, Dtype::kF32, {t, dr}, "write_latents table");
  require(args.slots, Dtype::kI32, {t}, "write_latents slots");
  require_latents(args.cache, args.format, rank, dr, "write_latents cache");
  if (on_device(stream)) return cuda::write_latents(stream, args);
  cpu::write_latents(stream, args);
}

void mla_expanded(const Stream& stream, const Mla& args) {
  check_space(stream);
  check_mla(args);
  require_scratch(args.scratch,
                  mla_expanded_scratch_bytes(stream, args.shape, args.q.shape[0], args.runs.shape[0]),
                  "mla_expanded");
  if (on_device(stream)) return cuda::mla_expanded(stream, args);
  cpu::mla_expanded(stream, args);
}

size_t mla_expanded_scratch_bytes(const Stream& stream, const MlaShape& shape, int64_t max_rows,
                                  int64_t max_runs) {
  if (on_device(stream)) return cuda::mla_expanded_scratch_bytes(shape, max_rows, max_runs);
  return cpu::mla_expanded_scratch_bytes(shape, max_rows, max_runs);
}

void mla_absorbed(const Stream& stream, const Mla& args) {
  check_space(stream);
  check_mla(args);
  require_scratch(args.scratch, mla_absorbed_scratch_bytes(stream, args.shape, args.q.shape[0]),
                  "mla_absorbed");
  if (on_device(stream)) return cuda::mla_absorbed(stream, args);
  cpu::mla_absorbed(stream, args);
}

size_t mla_absorbed_scratch_bytes(const Stream& stream, const MlaShape& shape, int64_t max_rows) {
  if (on_device(stream)) return cuda::mla_absorbed_scratch_bytes(shape, max_rows);
  return cpu::mla_absorbed_scratch_bytes(shape, max_rows);
}

void route(const Stream& stream, const Route& args) {
  check_space(stream);
  const int64_t t = args.logits.shape[0];
  const int64_t n_experts = args.logits.shape[1];
  const int64_t k = args.experts.shape[1];
  require(args.logits, Dtype::kF32, {t, n_experts}, "route logits");
  require(args.experts, Dtype::kI32, {t, k}, "route experts");
  require(args.weights, Dtype::kF32, {t, k}, "route weights");
  FATHOM_CHECK(n_experts <= 1024 && args.n_group >= 1 && n_experts % args.n_group == 0 &&
                   args.topk_group >= 1 && args.topk_group <= args.n_group &&
                   k <= args.topk_group * (n_experts / args.n_group),
               "{} experts, {} groups, {} kept, {} chosen", n_experts, args.n_group, args.topk_group, k);
  if (on_device(stream)) return cuda::route(stream, args);
  cpu::route(stream, args);
}

void expert_mlps(const Stream& stream, const ExpertMlps& args) {
  check_space(stream);
  const int64_t t = args.x.shape[0];
  const int64_t h = args.x.shape[1];
  const int64_t k = args.experts.shape[1];
  const size_t n_experts = args.gate.size();
  FATHOM_CHECK(n_experts > 0 && args.up.size() == n_experts && args.down.size() == n_experts, "{} {} {}",
               n_experts, args.up.size(), args.down.size());
  const int64_t m = args.gate[0].shape[0];
  require(args.x, Dtype::kF32, {t, h}, "expert_mlps x");
  require(args.experts, Dtype::kI32, {t, k}, "expert_mlps experts");
  require(args.weights, Dtype::kF32, {t, k}, "expert_mlps weights");
  require(args.out, Dtype::kF32, {t, h}, "expert_mlps out");
  for (size_t e = 0; e < n_experts; ++e) {
    require_matrix(args.gate[e], {m, h}, "expert gate");
    require_matrix(args.up[e], {m, h}, "expert up");
    require_matrix(args.down[e], {h, m}, "expert down");
    for (const Tensor* w : {&args.gate[e], &args.up[e], &args.down[e]}) {
      FATHOM_CHECK(w->dtype == args.gate[0].dtype && w->scales.columns == args.gate[0].scales.columns,
                   "expert {} is {}, the first {}", e, w->describe(), args.gate[0].describe());
    }
  }
  require_scratch(
      args.scratch,
      expert_mlps_scratch_bytes(stream, {t, static_cast<int64_t>(n_experts), k, h, m, args.compute}),
      "expert_mlps");
  if (on_device(stream)) return cuda::expert_mlps(stream, args);
  cpu::expert_mlps(stream, args);
}

size_t expert_mlps_scratch_bytes(const Stream& stream, const ExpertMlpsShape& shape) {
  check_space(stream);
  if (on_device(stream)) return cuda::expert_mlps_scratch_bytes(shape);
  return cpu::expert_mlps_scratch_bytes(stream, shape);
}

void log_softmax_gather(const Stream& stream, const LogSoftmaxGather& args) {
  check_space(stream);
  const int64_t t = args.logits.shape[0];
  require(args.logits, Dtype::kF32, {t, args.logits.shape[1]}, "log_softmax_gather logits");
  require(args.offsets, Dtype::kI32, {t + 1}, "log_softmax_gather offsets");
  require(args.ids, Dtype::kI32, {args.ids.shape[0]}, "log_softmax_gather ids");
  require(args.logprobs, Dtype::kF32, {args.ids.shape[0]}, "log_softmax_gather logprobs");
  require(args.argmax, Dtype::kI32, {t}, "log_softmax_gather argmax");
  if (on_device(stream)) return cuda::log_softmax_gather(stream, args);
  cpu::log_softmax_gather(stream, args);
}

void top_logprobs(const Stream& stream, const TopLogprobs& args) {
  check_space(stream);
  const int64_t t = args.logits.shape[0];
  const int64_t k = args.ids.shape[1];
  require(args.logits, Dtype::kF32, {t, args.logits.shape[1]}, "top_logprobs logits");
  require(args.ids, Dtype::kI32, {t, k}, "top_logprobs ids");
  require(args.logprobs, Dtype::kF32, {t, k}, "top_logprobs logprobs");
  FATHOM_CHECK(k >= 1 && k <= args.logits.shape[1], "{} best of {}", k, args.logits.describe());
  if (on_device(stream)) return cuda::top_logprobs(stream, args);
  cpu::top_logprobs(stream, args);
}

void sample(const Stream& stream, const Sample& args) {
  check_space(stream);
  const int64_t t = args.logits.shape[0];
  require(args.logits, Dtype::kF32, {t, args.logits.shape[1]}, "sample logits");
  require(args.ids, Dtype::kI32, {t}, "sample ids");
  require(args.logprobs, Dtype::kF32, {t}, "sample logprobs");
  FATHOM_CHECK(static_cast<int64_t>(args.rows.size()) == t, "{} rows, {}", args.rows.size(),
               args.logits.describe());
  require_scratch(args.scratch, sample_scratch_bytes(stream, t, args.logits.shape[1]), "sample");
  if (on_device(stream)) return cuda::sample(stream, args);
  cpu::sample(stream, args);
}

size_t sample_scratch_bytes(const Stream& stream, int64_t max_rows, int64_t vocab_size) {
  if (on_device(stream)) return cuda::sample_scratch_bytes(max_rows, vocab_size);
  return cpu::sample_scratch_bytes(max_rows, vocab_size);
}

}  // namespace fathom::kernels
