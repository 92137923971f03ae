// What results of the CPU kernels depend on.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/identity.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/cpu.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

int64_t Target() {
  return HWY_TARGET;
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(Target);

// Raise the number when any accumulation order or formula of a CPU kernel changes: stored results tell their
// numerics apart by it.
std::string kernel_set() {
  return "cpu-1";
}

std::string instruction_set() {
  return hwy::TargetName(HWY_DYNAMIC_DISPATCH(Target)());
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
