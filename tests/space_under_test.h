// Where the kernels of a test binary run: a main() other than GoogleTest's sets it before the tests.
#pragma once

#include <functional>

#include "kernels/tensor.h"

namespace fathom::kernels {

inline Space& space_under_test() {
  static Space space = Space::kCpu;
  return space;
}

/// Runs a body in every order of threads that the main() wants tested; once by default.
inline std::function<void(const std::function<void()>&)>& in_every_order() {
  static std::function<void(const std::function<void()>&)> run = [](const std::function<void()>& body) {
    body();
  };
  return run;
}

}  // namespace fathom::kernels
