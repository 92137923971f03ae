// library.h with cuBLASLt, loaded when it is first asked for: fathom starts and computes without it.
#include <cublasLt.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/error.h"
#include "kernels/cuda/library.h"

namespace fathom::kernels::cuda {
namespace {

/// The functions in use, by name: their types are the toolkit's.
struct Api {
  decltype(&cublasLtGetVersion) get_version;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatrixLayoutSetAttribute) layout_set;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) matmul;
};

/// Everything of the library that is in use, or the reason why not.
std::optional<Api> load_api(std::string& why_not) {
  const std::string file = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
  // Never closed: the library registers what ends with the process.
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    why_not = fmt::format(
        "{} cannot be loaded ({}); it is part of the CUDA toolkit, LD_LIBRARY_PATH may name its folder", file,
        ::dlerror());
    return std::nullopt;
  }
  const auto load = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(handle, name));
    if (function == nullptr) why_not = fmt::format("{} has no {}", file, name);
  };
  Api api{};
  load(api.get_version, "cublasLtGetVersion");
  load(api.status_string, "cublasLtGetStatusString");
  load(api.create, "cublasLtCreate");
  load(api.destroy, "cublasLtDestroy");
  load(api.desc_create, "cublasLtMatmulDescCreate");
  load(api.desc_destroy, "cublasLtMatmulDescDestroy");
  load(api.desc_set, "cublasLtMatmulDescSetAttribute");
  load(api.layout_create, "cublasLtMatrixLayoutCreate");
  load(api.layout_destroy, "cublasLtMatrixLayoutDestroy");
  load(api.layout_set, "cublasLtMatrixLayoutSetAttribute");
  load(api.preference_create, "cublasLtMatmulPreferenceCreate");
  load(api.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  load(api.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  load(api.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  load(api.matmul, "cublasLtMatmul");
  if (!why_not.empty()) return std::nullopt;
  return api;
}

/// An object of the library that is destroyed with this.
template <typename T>
class Owned {
 public:
  explicit Owned(cublasStatus_t (*destroy)(T)) : destroy_(destroy) {}
  ~Owned() {
    if (object_ != nullptr) destroy_(object_);
  }
  Owned(Owned&& other) noexcept : destroy_(other.destroy_), object_(std::exchange(other.object_, nullptr)) {}
  Owned& operator=(Owned&&) = delete;
  T get() const { return object_; }
  T* out() { return &object_; }

 private:
  cublasStatus_t (*destroy_)(T);
  T object_ = nullptr;
};

/// How the products with one weight are computed: the same way for every number of rows.
///
/// The library's matrices are column by column, so rows here are columns there: out^T [n, m] = weight [n, k]
/// x^T.
struct Plan {
  Owned<cublasLtMatrixLayout_t> weight, x, out;
  cublasLtMatmulAlgo_t algorithm;
};

class CublasLt : public Library {
 public:
  explicit CublasLt(const Api& api) : api_(api), handle_(api.destroy), product_(api.desc_destroy) {}

  std::optional<std::string> open() {
    if (auto failed = failure(api_.create(handle_.out()))) return failed;
    if (auto failed = failure(api_.desc_create(product_.out(), CUBLAS_COMPUTE_32F, CUDA_R_32F)))
      return failed;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    return failure(
        api_.desc_set(product_.get(), CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed));
  }

  std::string name() const override {
    const size_t version = api_.get_version();
    return fmt::format("cuBLASLt {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
  }

  std::optional<std::string> prepare(const MatrixShape& shape, int64_t max_rows) override {
    Plan plan{Owned(api_.layout_destroy), Owned(api_.layout_destroy), Owned(api_.layout_destroy), {}};
    const auto k = static_cast<uint64_t>(shape.inputs), n = static_cast<uint64_t>(shape.outputs);
    const auto m = static_cast<uint64_t>(max_rows);
    if (auto f = failure(api_.layout_create(plan.weight.out(), CUDA_R_16BF, k, n, shape.inputs))) return f;
    if (auto f = failure(api_.layout_create(plan.x.out(), CUDA_R_16BF, k, m, shape.inputs))) return f;
    if (auto f = failure(api_.layout_create(plan.out.out(), CUDA_R_32F, n, m, shape.outputs))) return f;
    Owned preference(api_.preference_destroy);
    if (auto f = failure(api_.preference_create(preference.out()))) return f;
    // No workspace and no reduction: nothing is split over K, whatever the number of rows.
    const uint64_t workspace = 0;
    const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_NONE;
    if (auto f = failure(api_.preference_set(preference.get(), CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                             &workspace, sizeof workspace)))
      return f;
    if (auto f = failure(api_.preference_set(preference.get(), CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                             &reductions, sizeof reductions)))
      return f;
    cublasLtMatmulHeuristicResult_t found{};
    int n_found = 0;
    if (auto f =
            failure(api_.heuristic(handle_.get(), product_.get(), plan.weight.get(), plan.x.get(),
                                   plan.out.get(), plan.out.get(), preference.get(), 1, &found, &n_found)))
      return f;
    if (n_found == 0) return "no algorithm without a workspace";
    plan.algorithm = found.algo;
    plans_.erase({shape.inputs, shape.outputs});
    plans_.emplace(std::pair(shape.inputs, shape.outputs), std::move(plan));
    return std::nullopt;
  }

  std::optional<std::string> multiply(const Stream& stream, const LibraryProduct& p) override {
    const auto at = plans_.find({p.k, p.n});
    FATHOM_CHECK(at != plans_.end(), "a product of {} x {} that was not prepared", p.n, p.k);
    const Plan& plan = at->second;
    const auto m = static_cast<uint64_t>(p.m);
    for (const cublasLtMatrixLayout_t layout : {plan.x.get(), plan.out.get()}) {
      if (auto f = failure(api_.layout_set(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &m, sizeof m))) return f;
    }
    const float one = 1.0f, old = p.accumulate ? 1.0f : 0.0f;
    return failure(api_.matmul(handle_.get(), product_.get(), &one, p.weight, plan.weight.get(), p.x,
                               plan.x.get(), &old, p.out, plan.out.get(), p.out, plan.out.get(),
                               &plan.algorithm, nullptr, 0, static_cast<cudaStream_t>(stream.device)));
  }

 private:
  std::optional<std::string> failure(cublasStatus_t status) const {
    if (status == CUBLAS_STATUS_SUCCESS) return std::nullopt;
    return fmt::format("{}: {}", name(), api_.status_string(status));
  }

  Api api_;
  Owned<cublasLtHandle_t> handle_;
  Owned<cublasLtMatmulDesc_t> product_;
  std::map<std::pair<int64_t, int64_t>, Plan> plans_;
};

}  // namespace

std::unique_ptr<Library> open_library(std::string& why_not) {
  const std::optional<Api> api = load_api(why_not);
  if (!api) return nullptr;
  auto library = std::make_unique<CublasLt>(*api);
  if (auto failed = library->open()) {
    why_not = *failed;
    return nullptr;
  }
  return library;
}

}  // namespace fathom::kernels::cuda
