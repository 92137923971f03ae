#include <gtest/gtest.h>

#include <cmath>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

TEST(RopeTable, IsTheCosineAndSineOfTheFp32Angle) {
  on_every_instruction_set([] {
    TestStream stream;
    const std::vector<int32_t> positions = {0, 1, 2, 255, 257, 4096, 4097, 32768, 131072, 163839};
    const std::vector<float> inv_freq = {1.0f, 0.7498942f, 0.1f, 0.0390069f, 3.3333802e-6f};
    const auto n = static_cast<int64_t>(positions.size());
    Array out(Dtype::kF32, {n, 10});
    rope_table(stream, {.positions = Array::of_ints(positions, {n}).tensor(),
                        .inv_freq = Array::of(inv_freq, {5}).tensor(),
                        .factor = 1.25f,
                        .out = out.tensor()});
    std::vector<double> expected;
    for (int32_t p : positions) {
      for (float f : inv_freq) {
        const float angle = static_cast<float>(p) * f;  // the reference rounds here
        expected.push_back(1.25 * std::cos(static_cast<double>(angle)));
        expected.push_back(1.25 * std::sin(static_cast<double>(angle)));
      }
    }
    EXPECT_EQ(differences(out.values(), expected, {.absolute = 1.2e-7, .relative = 0}), "");
  });
}

TEST(Rope, TurnsInterleavedPairsOfTheLastElementsOfEachHead) {
  on_every_instruction_set([] {
    Random random(1);
    TestStream stream;
    const int64_t t = 5, heads = 3, dn = 7, dr = 6;
    Array x = Array::uniform(random, Dtype::kF32, {t, heads, dn + dr});
    Array table = Array::uniform(random, Dtype::kF32, {t, dr});
    std::vector<double> expected = x.doubles();
    for (int64_t row = 0; row < t; ++row) {
      for (int64_t a = 0; a < heads; ++a) {
        const int64_t base = (row * heads + a) * (dn + dr) + dn;
        for (int64_t j = 0; j < dr; j += 2) {
          const double cos = table.at(row * dr + j), sin = table.at(row * dr + j + 1);
          expected[static_cast<size_t>(base + j)] = x.at(base + j) * cos - x.at(base + j + 1) * sin;
          expected[static_cast<size_t>(base + j + 1)] = x.at(base + j + 1) * cos + x.at(base + j) * sin;
        }
      }
    }
    rope(stream, {.x = x.tensor(), .table = table.tensor()});
    EXPECT_EQ(differences(x.values(), expected, {.absolute = 2e-7}), "");
  });
}

TEST(Rope, TheFirstUnitVectorAtPositionOneBecomesCosAndSin) {
  TestStream stream;
  Array table(Dtype::kF32, {1, 4});
  rope_table(stream, {.positions = Array::of_ints({1}, {1}).tensor(),
                      .inv_freq = Array::of({1.0f, 0.5f}, {2}).tensor(),
                      .factor = 1.0f,
                      .out = table.tensor()});
  Array x = Array::of({1, 0, 0, 0}, {1, 1, 4});
  rope(stream, {.x = x.tensor(), .table = table.tensor()});
  EXPECT_EQ(
      differences(x.values(), std::vector<double>{std::cos(1.0), std::sin(1.0), 0, 0}, {.absolute = 1e-7}),
      "");
}

TEST(WriteLatents, NormsTheLatentRotatesTheKeyAndTouchesNoOtherSlot) {
  on_every_instruction_set([] {
    Random random(2);
    TestStream stream;
    for (const auto& [rank, dr] : {std::pair<int64_t, int64_t>{8, 2}, {33, 6}, {64, 8}}) {
      for (Dtype dtype : kWeightDtypes) {
        const std::vector<int32_t> slots = {130, 0, 63, 64, 191};
        const int64_t t = 5, width = rank + dr;
        Array kv = Array::uniform(random, Dtype::kF32, {t, width});
        Array weight = Array::uniform(random, dtype, {rank}, 0.5, 1.5);
        Array table = Array::uniform(random, Dtype::kF32, {t, dr});
        Array cache = Array::uniform(random, Dtype::kF32, {3, kBlockTokens, width});
        std::vector<double> expected = cache.doubles();
        for (int64_t row = 0; row < t; ++row) {
          double* to = expected.data() + slots[static_cast<size_t>(row)] * width;
          double squares = 0.0;
          for (int64_t i = 0; i < rank; ++i) squares += kv.at(row * width + i) * kv.at(row * width + i);
          const double scale = 1.0 / std::sqrt(squares / static_cast<double>(rank) + 1e-6);
          for (int64_t i = 0; i < rank; ++i) to[i] = weight.at(i) * kv.at(row * width + i) * scale;
          for (int64_t j = 0; j < dr; j += 2) {
            const double a = kv.at(row * width + rank + j), b = kv.at(row * width + rank + j + 1);
            const double cos = table.at(row * dr + j), sin = table.at(row * dr + j + 1);
            to[rank + j] = a * cos - b * sin;
            to[rank + j + 1] = b * cos + a * sin;
          }
        }
        write_latents(stream, {.kv = kv.tensor(),
                               .weight = weight.tensor(),
                               .eps = 1e-6f,
                               .table = table.tensor(),
                               .slots = Array::of_ints(slots, {t}).tensor(),
                               .cache = cache.tensor()});
        EXPECT_EQ(differences(cache.values(), expected, {.absolute = 1e-6, .relative = 1e-6}), "");
      }
    }
  });
}

}  // namespace
}  // namespace fathom::kernels
