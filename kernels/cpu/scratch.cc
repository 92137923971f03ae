#include "kernels/cpu/scratch.h"

#include "base/error.h"

namespace fathom::kernels::cpu {

void check_scratch(size_t used, size_t limit) {
  FATHOM_CHECK(used <= limit, "{} of {} bytes of scratch", used, limit);
}

}  // namespace fathom::kernels::cpu
