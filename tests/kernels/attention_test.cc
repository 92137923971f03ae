// Both forms of latent attention against one scalar twin in double, and what must not change a bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

using Form = void (*)(const Stream&, const Mla&);

struct Sequence {
  int64_t n_tokens;             // positions in the cache
  std::vector<int32_t> blocks;  // shared ids allowed
};

/// A cache of latents, sequences in it, and runs of queries.
struct Scene {
  Scene(uint64_t seed, const MlaShape& shape_in, Dtype dtype, int64_t n_blocks)
      : random(seed),
        shape(shape_in),
        cache(Array::uniform(random, Dtype::kF32, {n_blocks, kBlockTokens, shape.latent()})),
        kv_b(Array::uniform(random, dtype, {shape.num_heads * (shape.nope + shape.v), shape.rank}, -0.5,
                            0.5)) {}

  /// A run of the last `n_rows` positions of the sequence.
  void add_run(int64_t sequence, int64_t first_position, int64_t n_rows) {
    runs.push_back({static_cast<int32_t>(total_rows), static_cast<int32_t>(n_rows),
                    static_cast<int32_t>(first_position), static_cast<int32_t>(sequence)});
    total_rows += n_rows;
  }

  void make_queries() {
    q = Array::uniform(random, Dtype::kF32, {total_rows, shape.num_heads, shape.qk()}, -2, 2);
  }

  Random random;
  MlaShape shape;
  Array cache;
  Array kv_b;
  std::vector<Sequence> sequences;
  std::vector<AttentionRun> runs;
  int64_t total_rows = 0;
  Array q{Dtype::kF32, {0}};
  float scale = 0.3f;
};

std::vector<float> attend(const Scene& scene, Form form, std::span<const AttentionRun> runs, const Tensor& q,
                          int n_threads = 2) {
  const MlaShape& s = scene.shape;
  size_t width = 0;
  for (const Sequence& sequence : scene.sequences) width = std::max(width, sequence.blocks.size());
  std::vector<int32_t> table;
  for (const Sequence& sequence : scene.sequences) {
    for (size_t b = 0; b < width; ++b) table.push_back(b < sequence.blocks.size() ? sequence.blocks[b] : -1);
  }
  std::vector<int32_t> run_values;
  for (const AttentionRun& run : runs) {
    for (int32_t field : {run.first_row, run.n_rows, run.first_position, run.sequence})
      run_values.push_back(field);
  }
  const auto n_runs = static_cast<int64_t>(runs.size());
  Array out(Dtype::kF32, {q.shape[0], s.num_heads, s.v});
  TestStream stream(n_threads);
  Buffer scratch(space_under_test(), std::max(mla_expanded_scratch_bytes(stream, s, q.shape[0], n_runs),
                                              mla_absorbed_scratch_bytes(stream, s, q.shape[0])));
  const Array table_array =
      Array::of_ints(table, {static_cast<int64_t>(scene.sequences.size()), static_cast<int64_t>(width)});
  const Array runs_array = Array::of_ints(run_values, {n_runs, 4});
  form(stream, {.shape = s,
                .q = q,
                .cache = scene.cache.tensor(),
                .block_table = table_array.tensor(),
                .runs = runs_array.tensor(),
                .kv_b = scene.kv_b.tensor(),
                .scale = scene.scale,
                .out = out.tensor(),
                .scratch = scratch.scratch()});
  return {out.values().begin(), out.values().end()};
}

std::vector<float> attend(const Scene& scene, Form form, int n_threads = 2) {
  return attend(scene, form, scene.runs, scene.q.tensor(), n_threads);
}

/// [dn | dv] of every head for one cache row: W_kvb c in double.
std::vector<double> expand(const Scene& scene, int64_t cache_row) {
  const MlaShape& s = scene.shape;
  std::vector<double> all;
  for (int64_t row = 0; row < s.num_heads * (s.nope + s.v); ++row) {
    double sum = 0.0;
    for (int64_t i = 0; i < s.rank; ++i) {
      sum += scene.kv_b.at(row * s.rank + i) * scene.cache.at(cache_row * s.latent() + i);
    }
    all.push_back(sum);
  }
  return all;
}

// Naive form (deepseek_v2.md 3.6), one row and head.
void attend_twin(const Scene& scene, int64_t row, int64_t head, int64_t n,
                 const std::vector<int64_t>& cache_rows, const std::vector<std::vector<double>>& expanded,
                 std::vector<double>& out) {
  const MlaShape& s = scene.shape;
  const int64_t q = (row * s.num_heads + head) * s.qk();
  const int64_t base = head * (s.nope + s.v);
  std::vector<double> scores;
  for (int64_t j = 0; j < n; ++j) {
    const std::vector<double>& kv = expanded[static_cast<size_t>(j)];
    const int64_t k_rope = cache_rows[static_cast<size_t>(j)] * s.latent() + s.rank;
    double score = 0.0;
    for (int64_t i = 0; i < s.nope; ++i) score += scene.q.at(q + i) * kv[static_cast<size_t>(base + i)];
    for (int64_t i = 0; i < s.rope; ++i) score += scene.q.at(q + s.nope + i) * scene.cache.at(k_rope + i);
    scores.push_back(score * scene.scale);
  }
  const double max = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (double& score : scores) sum += score = std::exp(score - max);
  for (int64_t i = 0; i < s.v; ++i) {
    double o = 0.0;
    for (int64_t j = 0; j < n; ++j) {
      o += scores[static_cast<size_t>(j)] *
           expanded[static_cast<size_t>(j)][static_cast<size_t>(base + s.nope + i)];
    }
    out.push_back(o / sum);
  }
}

std::vector<double> twin(const Scene& scene) {
  std::vector<double> out;
  for (const AttentionRun& run : scene.runs) {
    const Sequence& sequence = scene.sequences[static_cast<size_t>(run.sequence)];
    std::vector<int64_t> cache_rows;
    std::vector<std::vector<double>> expanded;
    for (int64_t j = 0; j < run.first_position + run.n_rows; ++j) {
      cache_rows.push_back(sequence.blocks[static_cast<size_t>(j / kBlockTokens)] * kBlockTokens +
                           j % kBlockTokens);
      expanded.push_back(expand(scene, cache_rows.back()));
    }
    for (int64_t r = 0; r < run.n_rows; ++r) {
      for (int64_t head = 0; head < scene.shape.num_heads; ++head) {
        attend_twin(scene, run.first_row + r, head, run.first_position + r + 1, cache_rows, expanded, out);
      }
    }
  }
  return out;
}

const MlaShape kShapes[] = {
    {.num_heads = 4, .nope = 16, .rope = 8, .v = 16, .rank = 32},
    {.num_heads = 1, .nope = 1, .rope = 2, .v = 1, .rank = 1},
    {.num_heads = 5, .nope = 13, .rope = 6, .v = 37, .rank = 27},
    {.num_heads = 2, .nope = 24, .rope = 10, .v = 40, .rank = 20},
};

/// Several sequences of ragged lengths: two share their first blocks, ids are out of order, runs begin
/// anywhere.
Scene ragged_scene(uint64_t seed, const MlaShape& shape, Dtype dtype) {
  Scene scene(seed, shape, dtype, 16);
  scene.sequences = {{1, {7}},          {64, {3}},        {65, {9, 2}}, {200, {5, 0, 11, 4}},
                     {150, {5, 0, 12}}, {140, {5, 0, 13}}};
  scene.add_run(0, 0, 1);
  scene.add_run(1, 0, 64);
  scene.add_run(2, 60, 5);
  scene.add_run(3, 199, 1);
  scene.add_run(3, 90, 70);
  scene.add_run(4, 128, 22);
  scene.add_run(5, 0, 140);
  scene.make_queries();
  return scene;
}

TEST(Mla, BothFormsMatchTheScalarTwin) {
  on_every_instruction_set([] {
    for (const MlaShape& shape : kShapes) {
      for (Dtype dtype : kWeightDtypes) {
        // The emulated device is slow: every dtype at one shape, every shape in one dtype.
        if (space_under_test() != Space::kCpu && dtype != Dtype::kBF16 && &shape != &kShapes[1]) continue;
        const Scene scene = ragged_scene(1, shape, dtype);
        const std::vector<double> expected = twin(scene);
        EXPECT_EQ(differences(attend(scene, mla_expanded), expected, {.absolute = 3e-6}), "") << "expanded";
        EXPECT_EQ(differences(attend(scene, mla_absorbed), expected, {.absolute = 3e-6}), "") << "absorbed";
      }
    }
  });
}

TEST(Mla, ARowsBitsDoNotDependOnItsNeighboursChunksOrThreads) {
  on_every_instruction_set([] {
    for (Form form : {mla_expanded, mla_absorbed}) {
      for (const MlaShape& shape : kShapes) {
        if (space_under_test() != Space::kCpu && (&shape - kShapes) % 2 == 1)
          continue;  // the emulated device is slow
        const Scene scene = ragged_scene(2, shape, Dtype::kBF16);
        const std::vector<float> all = attend(scene, form);
        for (int n_threads : space_under_test() == Space::kCpu ? std::vector{1, 3, 4} : std::vector{1})
          EXPECT_TRUE(same_bits(attend(scene, form, n_threads), all)) << n_threads;
        // Every run alone, cut in two at a random place.
        Random random(3);
        const int64_t width = shape.num_heads * shape.v;
        for (const AttentionRun& run : scene.runs) {
          const auto cut = static_cast<int32_t>(random.integer(0, run.n_rows));
          for (const auto& [begin, end] : {std::pair<int32_t, int32_t>{0, cut}, {cut, run.n_rows}}) {
            const AttentionRun part{0, end - begin, run.first_position + begin, run.sequence};
            const Tensor q = scene.q.tensor().rows(run.first_row + begin, run.first_row + end);
            const std::vector<float> alone = attend(scene, form, {&part, 1}, q);
            EXPECT_TRUE(same_bits(
                alone,
                std::span(all).subspan(static_cast<size_t>((run.first_row + begin) * width), alone.size())))
                << "rows " << begin << " to " << end << " of the run at row " << run.first_row;
          }
        }
      }
    }
  });
}

TEST(Mla, WhatLiesBehindARowInTheCacheDoesNotMatter) {
  on_every_instruction_set([] {
    for (Form form : {mla_expanded, mla_absorbed}) {
      Scene scene(4, kShapes[0], Dtype::kF32, 4);
      scene.sequences = {{70, {1, 3}}};
      scene.add_run(0, 60, 10);
      scene.make_queries();
      const std::vector<float> clean = attend(scene, form);
      // Positions 70 .. 127 of the sequence, and blocks of nobody.
      const int64_t latent = scene.shape.latent();
      std::fill(scene.cache.floats() + (3 * kBlockTokens + 6) * latent,
                scene.cache.floats() + scene.cache.size(), std::numeric_limits<float>::quiet_NaN());
      std::fill(scene.cache.floats(), scene.cache.floats() + kBlockTokens * latent,
                std::numeric_limits<float>::infinity());
      EXPECT_TRUE(same_bits(attend(scene, form), clean));
    }
  });
}

TEST(Mla, ANanReachesTheRowsThatSeeItAndNoOthers) {
  on_every_instruction_set([] {
    for (Form form : {mla_expanded, mla_absorbed}) {
      Scene scene(5, kShapes[0], Dtype::kF32, 2);
      scene.sequences = {{100, {0, 1}}};
      scene.add_run(0, 0, 100);
      scene.make_queries();
      scene.cache.floats()[70 * scene.shape.latent() + 5] = std::numeric_limits<float>::quiet_NaN();
      const std::vector<float> out = attend(scene, form);
      const size_t width = static_cast<size_t>(scene.shape.num_heads * scene.shape.v);
      for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(std::isnan(out[i]), i / width >= 70) << i / width;
    }
  });
}

TEST(Mla, LargeScoresDoNotOverflow) {
  on_every_instruction_set([] {
    for (Form form : {mla_expanded, mla_absorbed}) {
      Scene scene(6, kShapes[0], Dtype::kF32, 3);
      scene.sequences = {{130, {2, 0, 1}}};
      scene.add_run(0, 100, 30);
      scene.make_queries();
      scene.scale = 100.0f;  // scores of several hundred: one position takes nearly all weight
      EXPECT_EQ(differences(attend(scene, form), twin(scene), {.absolute = 2e-3, .cosine = 1e-5}), "");
    }
  });
}

/// Both forms give what the scalar twin gives, and each run the bits that it has alone.
void expect_that_runs_keep_to_themselves(Scene& scene) {
  scene.make_queries();
  const std::vector<double> expected = twin(scene);
  for (Form form : {mla_expanded, mla_absorbed}) {
    const std::vector<float> all = attend(scene, form);
    EXPECT_EQ(differences(all, expected, {.absolute = 3e-6}), "");
    const size_t width = static_cast<size_t>(scene.shape.num_heads * scene.shape.v);
    for (const AttentionRun& run : scene.runs) {
      const AttentionRun alone{0, run.n_rows, run.first_position, run.sequence};
      const std::vector<float> out =
          attend(scene, form, {&alone, 1}, scene.q.tensor().rows(run.first_row, run.first_row + run.n_rows));
      EXPECT_TRUE(
          same_bits(out, std::span(all).subspan(static_cast<size_t>(run.first_row) * width, out.size())));
    }
  }
}

// More distinct blocks, and more runs, than the expanded form keeps at a time.
TEST(Mla, ManySequencesAtOnceGiveWhatEachGivesAlone) {
  Scene scene(7, kShapes[0], Dtype::kBF16, 120);
  for (int32_t i = 0; i < 40; ++i) {
    scene.sequences.push_back({150 + i, {3 * i, 3 * i + 1, 3 * i + 2}});
    scene.add_run(i, 140, 1 + i % 20);
  }
  expect_that_runs_keep_to_themselves(scene);
}

// What several sequences have in common of a block is expanded once: nothing, a part, all of the shorter one.
TEST(Mla, SequencesWithCopiesOfABlocksBeginningGiveWhatEachGivesAlone) {
  Scene scene(8, kShapes[0], Dtype::kBF16, 40);
  const int64_t width = scene.shape.latent();
  const auto block = [&](int64_t i) { return scene.cache.floats() + i * kBlockTokens * width; };
  for (int32_t i = 0; i < 20; ++i) {
    const int64_t n_copied = 7 * i % 40;
    const int64_t from = i < 10 ? 1 : i;  // of the first, or of the one before
    if (i > 0) std::copy_n(block(from), n_copied * width, block(i + 1));
    scene.sequences.push_back({64 + 40 + i, {0, i + 1}});
    scene.add_run(i, 64 + 5, 1 + i);
  }
  expect_that_runs_keep_to_themselves(scene);
}

// Long enough for several of the pieces that a sequence may be cut into, beside so many rows that those
// pieces may not all be in flight at once.
TEST(Mla, ALongSequenceGivesTheSameBesideManyRows) {
  const MlaShape shape{.num_heads = 1, .nope = 3, .rope = 2, .v = 2, .rank = 4};
  Scene scene(9, shape, Dtype::kF32, 60);
  std::vector<int32_t> long_blocks;
  for (int32_t b = 0; b < 34; ++b) long_blocks.push_back((b * 7) % 34);
  scene.sequences = {{2100, long_blocks}, {300, {40, 41, 42, 43, 44}}};
  scene.add_run(0, 1022, 4);
  scene.add_run(0, 2098, 2);
  scene.make_queries();
  const std::vector<double> expected = twin(scene);
  for (Form form : {mla_expanded, mla_absorbed}) {
    const std::vector<float> few = attend(scene, form);
    EXPECT_EQ(differences(few, expected, {.absolute = 3e-6}), "");
    Scene crowded(9, shape, Dtype::kF32, 60);
    crowded.sequences = scene.sequences;
    crowded.runs = scene.runs;
    crowded.total_rows = scene.total_rows;
    crowded.add_run(1, 0, 300);
    crowded.make_queries();
    std::copy(scene.q.values().begin(), scene.q.values().end(), crowded.q.floats());
    const std::vector<float> many = attend(crowded, form);
    EXPECT_TRUE(same_bits(few, std::span(many).first(few.size())));
  }
}

TEST(MlaDeathTest, RunsThatDoNotCoverTheRowsAreABug) {
  if (space_under_test() != Space::kCpu) GTEST_SKIP() << "runs in device memory are not looked at";
  Scene scene(8, kShapes[0], Dtype::kF32, 1);
  scene.sequences = {{10, {0}}};
  scene.add_run(0, 0, 10);
  scene.make_queries();
  scene.runs[0].n_rows = 9;
  EXPECT_DEATH(attend(scene, mla_expanded, 1), "runs cover 9 of 10 rows");
  EXPECT_DEATH(attend(scene, mla_absorbed, 1), "runs cover 9 of 10 rows");
}

}  // namespace
}  // namespace fathom::kernels
