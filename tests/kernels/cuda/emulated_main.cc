// Tests with the CUDA kernels on an emulated device (kernels/cuda/emulation/block.h).
#include <gtest/gtest.h>

#include <functional>

#include "kernels/cuda/emulation/block.h"
#include "tests/space_under_test.h"

int main(int argc, char** argv) {
  namespace kernels = fathom::kernels;
  using kernels::cuda::emulation::Order;
  ::testing::InitGoogleTest(&argc, argv);
  kernels::space_under_test() = kernels::Space::kCuda;
  kernels::in_every_order() = [](const std::function<void()>& body) {
    for (const Order order : {Order::kAscending, Order::kShuffled}) {
      SCOPED_TRACE(order == Order::kAscending ? "ascending threads" : "shuffled threads");
      kernels::cuda::emulation::set_order(order);
      body();
    }
    kernels::cuda::emulation::set_order(Order::kDescending);  // for tests that do not ask for every order
  };
  return RUN_ALL_TESTS();
}
