// The shared test data beside the checkout. It is not part of the repository: tests that need it are skipped,
// with one line that says so, where it is absent.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace fathom::testing {

inline std::filesystem::path shared_data() {
  return std::filesystem::path(FATHOM_SOURCE_DIR) / ".." / "shared" / "data";
}

}  // namespace fathom::testing

/// Skips the running test when `path` below the shared data is absent.
#define FATHOM_REQUIRE_SHARED_DATA(path)                                          \
  do {                                                                            \
    if (!std::filesystem::exists(::fathom::testing::shared_data() / (path)))      \
      GTEST_SKIP() << "needs ../shared/data/" << (path) << ", which is not here"; \
  } while (false)
