#include "kernels/cuda/library.h"

#include <algorithm>

#include "base/error.h"

namespace fathom::kernels::cuda {

bool ProvenLibrary::takes(const Linear& args) const {
  const MatrixShape shape{.outputs = args.weight.shape[0], .inputs = args.weight.shape[1]};
  return args.weight.dtype == Dtype::kBF16 && args.bias.data == nullptr &&
         std::find(proven.begin(), proven.end(), shape) != proven.end();
}

void ProvenLibrary::multiply(const Stream& stream, const LibraryProduct& product) const {
  if (auto refused = library->multiply(stream, product)) throw Error(ErrorKind::kEngine, *refused, "CUDA");
}

}  // namespace fathom::kernels::cuda
