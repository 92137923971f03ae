// device_bench library: cuBLASLt's products beside ours.
#include "kernels/cuda/library.h"
#include "tests/kernels/cuda/device_bench.h"

namespace fathom::kernels {
namespace {

/// As many rows as a pass of the engine has at most.
constexpr int64_t kMostRows = 2048;

struct LibraryCase {
  LibraryCase(const Bench& bench, const Matrix& matrix, int64_t max_rows)
      : s(matrix),
        weight(random_buffer(bench, Dtype::kBF16, s.n * s.k, 32.0f, 5)),
        x(random_buffer(bench, Dtype::kBF16, max_rows * s.k, 1.0f, 6)),
        out(Space::kCuda, static_cast<size_t>(max_rows * s.n) * 4) {}

  std::optional<std::string> run(const Bench& bench, cuda::Library& library, int64_t rows) const {
    return library.multiply(bench.stream, {.x = static_cast<const cuda::Bf16*>(x.scratch().data),
                                           .weight = static_cast<const cuda::Bf16*>(weight.scratch().data),
                                           .out = static_cast<float*>(out.scratch().data),
                                           .m = rows,
                                           .k = s.k,
                                           .n = s.n});
  }

  Matrix s;
  Buffer weight, x, out;
};

}  // namespace

double library_flops(const Bench& bench) {
  constexpr int64_t kSize = 8192;
  std::string why_not;
  const std::unique_ptr<cuda::Library> library = cuda::open_library(why_not);
  if (library == nullptr || library->prepare({kSize, kSize}, kSize)) return 0.0;
  const LibraryCase work(bench, {kSize, kSize}, kSize);
  if (work.run(bench, *library, kSize)) return 0.0;
  const Timing time = time_of(bench, work.out, [&] { work.run(bench, *library, kSize); });
  return 2.0 * static_cast<double>(kSize * kSize * kSize) / time.median_s;
}

void library(const Bench& bench) {
  std::string why_not;
  const std::unique_ptr<cuda::Library> library = cuda::open_library(why_not);
  if (library == nullptr) {
    std::printf("{\"phase\": \"library\", \"library\": null, \"reason\": \"%s\"}\n", why_not.c_str());
    return;
  }
  for (const Matrix& s : matrices(bench)) {
    const std::string name = std::to_string(s.k) + " x " + std::to_string(s.n);
    const MatrixShape shape{.outputs = s.n, .inputs = s.k};
    std::optional<std::string> reason = library->prepare(shape, kMostRows);
    const auto start = Clock::now();
    if (!reason) reason = cuda::prove(bench.stream, *library, shape, kMostRows);
    std::printf(
        "{\"phase\": \"library\", \"case\": \"%s\", \"library\": \"%s\", \"proven\": %s, \"reason\": \"%s\", "
        "\"seconds\": %.3g}\n",
        name.c_str(), library->name().c_str(), reason ? "false" : "true", reason.value_or("").c_str(),
        std::chrono::duration<double>(Clock::now() - start).count());
    const LibraryCase theirs(bench, s, kMostRows);
    for (const int64_t rows : {int64_t{1}, int64_t{64}, kMostRows}) {
      if (theirs.run(bench, *library, rows)) continue;
      const Timing time = time_of(bench, theirs.out, [&] { theirs.run(bench, *library, rows); });
      report(bench, "cublaslt " + std::to_string(rows) + " x " + name, time,
             static_cast<double>(2 * s.n * s.k + 2 * rows * s.k + 4 * rows * s.n),
             2.0 * static_cast<double>(rows * s.n * s.k), Compute::kBF16);
    }
  }
}

}  // namespace fathom::kernels
