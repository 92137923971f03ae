// prove of library.h.
#include "kernels/buffer.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/library.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int kRepeats = 5;
/// Places in the batch at which its rows are computed again.
constexpr int64_t kShifts[] = {1, 7, 64, 129};

/// Numbers of [-1, 1) that are bf16, by a hash of their index.
struct FillKernel {
  static constexpr int kThreads = kElementThreads;
  static constexpr const char* kName = "prove (fill)";
  struct Params {
    Bf16* to;
    int64_t n;
    uint64_t seed;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    for_elements(simt, p.n, [&](int64_t i) {
      const uint64_t bits = mix(p.seed + static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u);
      p.to[i].bits = to_bf16(static_cast<float>(bits >> 40) * 0x1.0p-23f - 1.0f);
    });
  }
};

/// *flag = 1 when bits differ; with a tolerance, when |a - b| > tolerance or not a number.
struct DifferKernel {
  static constexpr int kThreads = kElementThreads;
  static constexpr const char* kName = "prove (compare)";
  struct Params {
    const float* a;
    const float* b;
    int64_t n;
    float tolerance;  // 0: bits
    int32_t* flag;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    bool differs = false;
    for_elements(simt, p.n, [&](int64_t i) {
      differs |= p.tolerance == 0.0f ? bits_of_float(p.a[i]) != bits_of_float(p.b[i])
                                     : !(fabsf(p.a[i] - p.b[i]) <= p.tolerance);
    });
    if (differs) *p.flag = 1;  // whoever writes writes the same
  }
};

class Proof {
 public:
  Proof(const Stream& stream, Library& library, const MatrixShape& shape, int64_t max_rows)
      : stream_(stream),
        library_(library),
        k_(shape.inputs),
        n_(shape.outputs),
        m_(max_rows),
        x_(Space::kCuda, static_cast<size_t>(m_ * k_) * sizeof(Bf16)),
        weight_(Space::kCuda, static_cast<size_t>(n_ * k_) * sizeof(Bf16)),
        whole_(Space::kCuda, static_cast<size_t>(m_ * n_) * sizeof(float)),
        out_(Space::kCuda, static_cast<size_t>(m_ * n_) * sizeof(float)),
        flags_(Space::kCuda, static_cast<size_t>(m_ + 1) * sizeof(int32_t)) {
    launch<FillKernel>(stream_, element_blocks(m_ * k_), 0, {x(), m_ * k_, 1});
    launch<FillKernel>(stream_, element_blocks(n_ * k_), 0, {weight(), n_ * k_, 2});
  }

  std::optional<std::string> run() {
    if (auto refused = multiply(0, m_, floats(whole_))) return refused;
    for (int64_t m = 1; m <= m_; ++m) {
      if (auto refused = multiply(0, m, floats(out_))) return refused;
      compare(0, m, 0.0f, m);
    }
    if (const int64_t m = first_flag(); m >= 0)
      return "rows of a batch of " + std::to_string(m) + " differ from those of " + std::to_string(m_);
    for (const int64_t shift : kShifts) {
      if (shift >= m_) break;
      if (auto refused = multiply(shift, m_ - shift, floats(out_))) return refused;
      compare(shift, m_ - shift, 0.0f, shift);
    }
    if (const int64_t shift = first_flag(); shift >= 0)
      return "rows differ when they come " + std::to_string(shift) + " places earlier in the batch";
    for (int i = 0; i < kRepeats; ++i) {
      if (auto refused = multiply(0, m_, floats(out_))) return refused;
      compare(0, m_, 0.0f, 0);
    }
    if (first_flag() >= 0) return "the same product twice differs";
    return differs_from_ours();
  }

 private:
  Bf16* x() const { return static_cast<Bf16*>(x_.scratch().data); }
  Bf16* weight() const { return static_cast<Bf16*>(weight_.scratch().data); }
  static float* floats(const Buffer& buffer) { return static_cast<float*>(buffer.scratch().data); }

  std::optional<std::string> multiply(int64_t first, int64_t m, float* out) {
    auto refused = library_.multiply(
        stream_, {.x = x() + first * k_, .weight = weight(), .out = out, .m = m, .k = k_, .n = n_});
    if (refused) return std::to_string(m) + " rows: " + *refused;
    return std::nullopt;
  }

  /// out_ against rows first .. first + m of whole_.
  void compare(int64_t first, int64_t m, float tolerance, int64_t flag) {
    launch<DifferKernel>(stream_, element_blocks(m * n_), 0,
                         {floats(out_), floats(whole_) + first * n_, m * n_, tolerance,
                          static_cast<int32_t*>(flags_.scratch().data) + flag});
  }

  /// The first flag that is set, or -1; waits for the device.
  int64_t first_flag() {
    std::vector<int32_t> flags(static_cast<size_t>(m_ + 1));
    download(stream_, flags_.tensor(Dtype::kI32, {m_ + 1}), std::as_writable_bytes(std::span(flags)));
    for (size_t i = 0; i < flags.size(); ++i) {
      if (flags[i] != 0) return static_cast<int64_t>(i);
    }
    return -1;
  }

  std::optional<std::string> differs_from_ours() {
    const Buffer wide(Space::kCuda, static_cast<size_t>(m_ * k_) * sizeof(float));
    const Tensor widened = wide.tensor(Dtype::kF32, {m_, k_});
    kernels::convert(stream_, {.from = x_.tensor(Dtype::kBF16, {m_, k_}), .to = widened});
    kernels::linear(stream_, {.x = widened,
                              .weight = weight_.tensor(Dtype::kBF16, {n_, k_}),
                              .out = out_.tensor(Dtype::kF32, {m_, n_})});
    // Each of k additions rounds a sum of about sqrt(k), a tensor core towards zero; a wrong product is off
    // by about 1.
    compare(0, m_, 4e-6f * static_cast<float>(k_), 0);
    if (first_flag() >= 0) return "rows differ from our own by more than rounding";
    return std::nullopt;
  }

  const Stream& stream_;
  Library& library_;
  int64_t k_, n_, m_;
  Buffer x_, weight_, whole_, out_, flags_;
};

}  // namespace

std::optional<std::string> prove(const Stream& stream, Library& library, const MatrixShape& shape,
                                 int64_t max_rows) {
  return Proof(stream, library, shape, max_rows).run();
}

}  // namespace fathom::kernels::cuda
