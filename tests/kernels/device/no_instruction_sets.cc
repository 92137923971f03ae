// Of a build without the CPU's kernels (tools/build_gpu_tests.sh).
#include "tests/kernels/arrays.h"

namespace fathom::kernels {

void on_every_instruction_set(const std::function<void()>& body) {
  in_every_order()(body);
}

}  // namespace fathom::kernels
