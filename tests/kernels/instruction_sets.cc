// Before Highway: the instruction sets that the kernels are compiled for.
#include "kernels/cpu/targets.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include "tests/kernels/arrays.h"

namespace fathom::kernels {

void on_every_instruction_set(const std::function<void()>& body) {
  if (space_under_test() != Space::kCpu) return in_every_order()(body);
  for (int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    SCOPED_TRACE(instruction_set(Space::kCpu));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

}  // namespace fathom::kernels
