// Formats of the latent cache: what is written is what kernels/latent_format.h draws, near enough to the
// number it stands for, and attention over a packed cache has the bits of attention over the numbers it
// stands for.
#include "kernels/latent_format.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

/// A reader of stored rows, written from the description alone.
class StoredRow {
 public:
  StoredRow(const LatentLayout& layout, const uint8_t* row) : layout_(layout), row_(row) {}

  float number(int64_t i) const {
    if (layout_.format == LatentFormat::kF32) return word<float>(4 * i);
    if (layout_.format == LatentFormat::kBF16) return bf16(2 * i);
    const bool key = i >= layout_.rank;
    return static_cast<float>(code(key ? i - layout_.rank : i, key)) * scale(i);
  }

  float scale(int64_t i) const {
    const bool key = i >= layout_.rank;
    const int64_t at = key ? i - layout_.rank : i;
    return bf16(layout_.scales_at + 2 * (at / 64 + (key ? (layout_.rank + 63) / 64 : 0)));
  }

 private:
  template <typename T>
  T word(int64_t at) const {
    T value;
    std::memcpy(&value, row_ + at, sizeof value);
    return value;
  }
  float bf16(int64_t at) const { return std::bit_cast<float>(uint32_t{word<uint16_t>(at)} << 16); }

  double code(int64_t i, bool key) const {
    const uint8_t* codes = row_ + (key ? layout_.keys_at : 0);
    if (layout_.format == LatentFormat::kF8) return fp8(codes[i]);
    if (layout_.format == LatentFormat::kI8 || key) return static_cast<int8_t>(codes[i]);
    const uint8_t* group = codes + i / 64 * 48;
    const int64_t j = i % 64;
    const int low = (group[j % 32] >> (j / 32 * 4)) & 15;
    const int high = (group[32 + j % 16] >> (j / 16 * 2)) & 3;
    return low + 16 * high - 32;
  }

  static double fp8(uint8_t code) {
    const int exponent = (code >> 3) & 15, fraction = code & 7;
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -9) : std::ldexp(8 + fraction, exponent - 7 - 3);
    return (code & 0x80) != 0 ? -magnitude : magnitude;
  }

  LatentLayout layout_;
  const uint8_t* row_;
};

const std::pair<int64_t, int64_t> kRanksAndKeys[] = {{8, 2}, {64, 8}, {129, 66}, {512, 64}};

/// A cache of `n_blocks` full blocks in a format, from the same inputs for every format.
struct Cache {
  Cache(LatentFormat format, int64_t rank, int64_t rope, int64_t n_blocks = 3, float poison = 0.0f)
      : layout(format, rank, rope),
        array(
            format == LatentFormat::kF32 ? Dtype::kF32 : Dtype::kU8,
            {n_blocks, kBlockTokens, format == LatentFormat::kF32 ? layout.row_words() : layout.row_bytes}) {
    Random random(11);
    const int64_t t = n_blocks * kBlockTokens;
    Array kv = Array::uniform(random, Dtype::kF32, {t, rank + rope}, -3, 3);
    if (poison != 0.0f) kv.floats()[5 * (rank + rope) + rank] = poison;  // a key element of row 5
    const Array weight = Array::uniform(random, Dtype::kF32, {rank}, 0.01, 2);
    const Array table = Array::uniform(random, Dtype::kF32, {t, rope});
    std::vector<int32_t> slots(static_cast<size_t>(t));
    for (size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<int32_t>(i);
    TestStream stream;
    write_latents(stream, {.kv = kv.tensor(),
                           .weight = weight.tensor(),
                           .eps = 1e-6f,
                           .table = table.tensor(),
                           .slots = Array::of_ints(slots, {t}).tensor(),
                           .cache = array.tensor(),
                           .format = format});
  }

  StoredRow row(int64_t i) const {
    return {layout, static_cast<const uint8_t*>(array.tensor().data) + i * layout.row_bytes};
  }
  int64_t n_rows() const { return array.tensor().shape[0] * kBlockTokens; }
  int64_t width() const { return layout.rank + layout.rope; }

  LatentLayout layout;
  Array array;
};

TEST(LatentFormat, RowsAreAsLargeAsDrawn) {
  // DeepSeek-V2: 512 latents, 64 key elements, 9 groups.
  EXPECT_EQ(LatentLayout(LatentFormat::kF32, 512, 64).row_bytes, 2304);
  EXPECT_EQ(LatentLayout(LatentFormat::kBF16, 512, 64).row_bytes, 1152);
  EXPECT_EQ(LatentLayout(LatentFormat::kF8, 512, 64).row_bytes, 576 + 18 + 2);
  EXPECT_EQ(LatentLayout(LatentFormat::kI8, 512, 64).row_bytes, 576 + 18 + 2);
  EXPECT_EQ(LatentLayout(LatentFormat::kI6, 512, 64).row_bytes, 384 + 64 + 18 + 2);
}

/// The largest distance between a number and what stands for it.
double half_step(LatentFormat format, double x, double scale) {
  const double magnitude = std::fabs(x);
  if (format == LatentFormat::kBF16) return magnitude * 0x1p-8;
  if (format != LatentFormat::kF8) return scale * 0.5;
  return std::max(magnitude * 0x1p-4, scale * 0x1p-10);
}

TEST(LatentFormat, StoredNumbersAreTheNearestThatTheFormatHas) {
  on_every_instruction_set([] {
    for (const auto& [rank, rope] : kRanksAndKeys) {
      const Cache exact(LatentFormat::kF32, rank, rope);
      for (const LatentFormat format : kLatentFormats) {
        if (format == LatentFormat::kF32) continue;
        const Cache stored(format, rank, rope);
        for (int64_t row = 0; row < stored.n_rows(); ++row) {
          for (int64_t i = 0; i < rank + rope; ++i) {
            const double x = exact.row(row).number(i);
            const double scale = format == LatentFormat::kBF16 ? 0.0 : stored.row(row).scale(i);
            // The scale's own rounding may clip the group's largest number by up to 2^-8 of it.
            ASSERT_LE(std::fabs(stored.row(row).number(i) - x),
                      half_step(format, x, scale) * 1.0001 + (scale > 0 ? std::fabs(x) * 0x1p-8 : 0.0))
                << latent_format_name(format) << " " << rank << " row " << row << " number " << i;
          }
        }
      }
    }
  });
}

TEST(LatentFormat, ANanOrInfinityIsNotLost) {
  for (const LatentFormat format : kLatentFormats) {
    for (const float poison :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const Cache cache(format, 64, 8, 1, poison);
      EXPECT_FALSE(std::isfinite(cache.row(5).number(64))) << latent_format_name(format);
      EXPECT_TRUE(std::isfinite(cache.row(5).number(63))) << latent_format_name(format);
      EXPECT_TRUE(std::isfinite(cache.row(6).number(64))) << latent_format_name(format);
    }
  }
}

using Form = void (*)(const Stream&, const Mla&);

std::vector<float> attend(Form form, const MlaShape& shape, const Tensor& cache, LatentFormat format) {
  Random random(12);
  const int64_t n_rows = 90;  // positions 80 .. 169 of one sequence, and three rows of another
  const Array q = Array::uniform(random, Dtype::kF32, {n_rows + 3, shape.num_heads, shape.qk()});
  const Array kv_b =
      Array::uniform(random, Dtype::kBF16, {shape.num_heads * (shape.nope + shape.v), shape.rank}, -0.2, 0.2);
  Array out(Dtype::kF32, {n_rows + 3, shape.num_heads, shape.v});
  TestStream stream;
  const Buffer scratch(Space::kCpu, std::max(mla_expanded_scratch_bytes(stream, shape, n_rows + 3, 2),
                                             mla_absorbed_scratch_bytes(stream, shape, n_rows + 3)));
  form(stream, {.shape = shape,
                .q = q.tensor(),
                .cache = cache,
                .block_table = Array::of_ints({2, 0, 1, 2, 1, -1}, {2, 3}).tensor(),
                .runs = Array::of_ints({0, 90, 80, 0, 90, 3, 70, 1}, {2, 4}).tensor(),
                .kv_b = kv_b.tensor(),
                .scale = 0.1f,
                .out = out.tensor(),
                .scratch = scratch.scratch(),
                .format = format});
  return {out.values().begin(), out.values().end()};
}

TEST(LatentFormat, AttentionReadsTheNumbersThatAreStored) {
  on_every_instruction_set([] {
    for (const auto& [rank, rope] : kRanksAndKeys) {
      for (const LatentFormat format : kLatentFormats) {
        const Cache stored(format, rank, rope);
        Array numbers(Dtype::kF32, {3, kBlockTokens, stored.width()});
        for (int64_t row = 0; row < stored.n_rows(); ++row) {
          for (int64_t i = 0; i < stored.width(); ++i)
            numbers.floats()[row * stored.width() + i] = stored.row(row).number(i);
        }
        const MlaShape shape{.num_heads = 5, .nope = 16, .rope = rope, .v = 24, .rank = rank};
        for (Form form : {mla_expanded, mla_absorbed}) {
          EXPECT_TRUE(same_bits(attend(form, shape, stored.array.tensor(), format),
                                attend(form, shape, numbers.tensor(), LatentFormat::kF32)))
              << latent_format_name(format) << " " << rank
              << (form == mla_expanded ? " expanded" : " absorbed");
        }
      }
    }
  });
}

}  // namespace
}  // namespace fathom::kernels
