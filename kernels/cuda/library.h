// A vendor's library for the dense products of --compute bf16, and the proof that it may take a matrix.
//
// A library may choose another order of additions for another number of rows, which would break the promise
// of kernels.h. So it computes a matrix only after prove() has seen every number of rows give the bits of the
// whole batch; other matrices keep the kernels of product.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/numbers.h"
#include "kernels/device.h"
#include "kernels/kernels.h"

namespace fathom::kernels::cuda {

/// out[r][n] = sum_k x[r][k] weight[n][k], with accumulate out + that sum; products of bf16, added in fp32.
/// All dense, rows one after the other, in device memory.
struct LibraryProduct {
  const Bf16* x = nullptr;       // [m, k]
  const Bf16* weight = nullptr;  // [n, k]
  float* out = nullptr;          // [m, n]
  int64_t m = 0, k = 0, n = 0;
  bool accumulate = false;
};

class Library {
 public:
  virtual ~Library() = default;
  /// "cuBLASLt 13.1.0"
  virtual std::string name() const = 0;
  /// Chooses, once, how products with a weight [n, k] are computed for up to max_rows rows; says why it
  /// cannot.
  virtual std::optional<std::string> prepare(const MatrixShape& shape, int64_t max_rows) = 0;
  /// Queues the product of a prepared shape; says why the library refuses.
  virtual std::optional<std::string> multiply(const Stream& stream, const LibraryProduct& product) = 0;
};

/// The library that this machine has. Null, and the reason in `why_not`, when it has none that can be used.
std::unique_ptr<Library> open_library(std::string& why_not);

/// Whether the products of `shape` keep their bits for every number of rows 1 .. max_rows, at other places in
/// the batch and on repetition, and agree with product.h's within rounding. Says what differs; nothing when
/// all is well. `shape` must be prepared. Waits for the device.
std::optional<std::string> prove(const Stream& stream, Library& library, const MatrixShape& shape,
                                 int64_t max_rows);

/// The library and the matrices that it was proven for: what Stream::library points to.
struct ProvenLibrary {
  std::unique_ptr<Library> library;
  std::vector<MatrixShape> proven;

  bool takes(const Linear& args) const;
  /// Throws Error{kEngine} when the library refuses what it was proven for.
  void multiply(const Stream& stream, const LibraryProduct& product) const;
};

/// x of a LibraryProduct are rounded rows (product.h), dense only where K is a multiple of this.
inline constexpr int64_t kLibraryInputs = 32;

}  // namespace fathom::kernels::cuda
