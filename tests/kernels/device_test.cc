#include "kernels/device.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/buffer.h"
#include "tests/kernels/arrays.h"

namespace fathom::kernels {
namespace {

TEST(Device, TheCpuIsAlwaysUsable) {
  EXPECT_EQ(why_unusable(Space::kCpu), std::nullopt);
  EXPECT_NO_THROW(check_usable(Space::kCpu));
  EXPECT_EQ(device_bytes(Space::kCpu), std::nullopt);
  EXPECT_GT(memory_bytes(Space::kCpu), 0);
}

TEST(Device, AStreamOnADeviceThatIsNotThereIsAnErrorOfTheEnvironment) {
  const std::optional<std::string> reason = why_unusable(Space::kCuda);
  if (!reason) GTEST_SKIP() << "there is a CUDA device";
  try {
    const OwnedStream stream(Space::kCuda, nullptr);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_NE(error.message().find(*reason), std::string::npos);
    EXPECT_NE(error.message().find("--device cpu"), std::string::npos);
  }
}

TEST(Buffer, BeginsWithZerosInEverySpace) {
  const TestStream stream;
  std::vector<int32_t> values(1000, 7);
  for (int round = 0; round < 2; ++round) {  // the second may get the first one's memory
    const Buffer buffer(space_under_test(), values.size() * sizeof(int32_t));
    const Tensor tensor = buffer.tensor(Dtype::kI32, {std::ssize(values)});
    download(stream, tensor, std::as_writable_bytes(std::span(values)));
    for (int32_t& value : values) {
      EXPECT_EQ(value, 0);
      value = 7;
    }
    upload(stream, std::as_bytes(std::span(values)), tensor);
  }
}

}  // namespace
}  // namespace fathom::kernels
