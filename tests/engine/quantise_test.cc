#include "engine/quantise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "engine/embedded_engine.h"
#include "engine/quantise_checkpoint.h"
#include "kernels/rounding.h"
#include "tests/engine/golden_weights.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

using kernels::Dtype;
using kernels::to_e4m3;
using nlohmann::json;
using testing::expect_bad_input;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

const fs::path kNano = FATHOM_SOURCE_DIR "/models/nano";
const Quantization kInt8{QuantFormat::kInt8, 1, 128};
const Quantization kInt4{QuantFormat::kInt4, 1, 32};
const Quantization kFp8{QuantFormat::kFp8, 128, 128};

TEST(E4m3, EveryCodeComesBackAndValuesBetweenRoundToTheNearestEven) {
  for (int code = 0; code < 256; ++code) {
    const float value = e4m3_number(static_cast<uint8_t>(code));
    if (std::isnan(value)) continue;
    EXPECT_EQ(to_e4m3(value), code);
  }
  for (int code = 0; code < 126; ++code) {
    const float low = e4m3_number(static_cast<uint8_t>(code));
    const float high = e4m3_number(static_cast<uint8_t>(code + 1));
    EXPECT_EQ(to_e4m3((low + high) / 2), code + code % 2) << code;
    EXPECT_EQ(to_e4m3(-(low + 3 * high) / 4), 0x80 + code + 1) << code;
  }
  EXPECT_EQ(e4m3_number(0x7E), 448.0f);
  EXPECT_EQ(to_e4m3(1e9f), 0x7E);
}

struct Rounded {
  Rounded(const std::vector<float>& from, int64_t n, int64_t k, const Quantization& q) {
    ThreadPool pool(2);
    bytes = quantise_matrix({from.data(), Dtype::kF32, {n, k}}, q, "w", pool);
    matrix = {bytes.numbers.data(), quantised_dtype(q.format), {n, k}};
    matrix.scales = {bytes.scales.data(), q.block_rows, q.block_columns};
  }
  QuantisedBytes bytes;
  Tensor matrix;
};

// The largest error that the format's spacing allows, in units of the block's largest number.
double error_bound(QuantFormat format) {
  switch (format) {
    case QuantFormat::kInt8:  // half a step of 1 / 127, and bf16's rounding of the scale (2^-9) at the ends
      return 0.5 / 127 + 0.004;
    case QuantFormat::kInt4:  // a step of at most 1 / 7.5; 30 % cut off at most
      return 0.31;
    case QuantFormat::kFp8:  // 3 bits of mantissa
      return 1.0 / 16;
  }
  return 0;
}

TEST(QuantiseMatrix, StaysWithinTheStepOfItsFormat) {
  const int64_t n = 150, k = 200;
  const std::vector<float> from = golden::values("w", n * k);
  for (const Quantization& q : {kInt8, kInt4, kFp8}) {
    const Rounded rounded(from, n, k, q);
    double squares = 0, sum = 0;
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t c = 0; c < k; ++c) {
        const double w = from[static_cast<size_t>(r * k + c)];
        const double d = matrix_number(rounded.matrix, r, c) - w;
        // All blocks of these values have a largest number of nearly 0.25.
        ASSERT_LE(std::fabs(d), 0.25 * error_bound(q.format)) << quantization_text(q) << " " << r << " " << c;
        squares += d * d;
        sum += w * w;
      }
    }
    // Uniform numbers: rounding to steps of s leaves s / sqrt(12).
    const double expected = q.format == QuantFormat::kInt8   ? 1.0 / 127
                            : q.format == QuantFormat::kInt4 ? 1.0 / 7.5
                                                             : 1.0 / 16;
    EXPECT_LT(std::sqrt(squares / sum), expected) << quantization_text(q);
  }
}

TEST(QuantiseMatrix, ZerosStayZerosAndTheThreadsDoNotMatter) {
  std::vector<float> from = golden::values("w", 40 * 96);
  std::fill(from.begin(), from.begin() + 96, 0.0f);
  for (const Quantization& q : {kInt8, kInt4, kFp8}) {
    const Rounded rounded(from, 40, 96, q);
    for (int64_t c = 0; c < 96; ++c) EXPECT_EQ(matrix_number(rounded.matrix, 0, c), 0.0f);
    ThreadPool one(1);
    const QuantisedBytes alone = quantise_matrix({from.data(), Dtype::kF32, {40, 96}}, q, "w", one);
    EXPECT_EQ(alone.numbers, rounded.bytes.numbers);
    EXPECT_EQ(alone.scales, rounded.bytes.scales);
  }
}

TEST(QuantiseMatrix, RefusesWhatNoFormatKeeps) {
  std::vector<float> from(64, 1.0f);
  from[40] = std::numeric_limits<float>::infinity();
  ThreadPool pool(1);
  const Tensor matrix(from.data(), Dtype::kF32, {2, 32});
  for (const Quantization& q : {kInt8, kInt4, kFp8})
    expect_bad_input([&] { quantise_matrix(matrix, q, "w", pool); }, {"w", "infinity"});
}

void quantise_nano(const fs::path& out, const Quantization& q) {
  ThreadPool pool(2);
  quantise_checkpoint(kNano, out, q, pool);
}

// What nano was trained to do: repeat a random sequence.
std::vector<TokenId> repeated_ids() {
  std::vector<TokenId> ids = {2046};
  for (int half = 0; half < 2; ++half) {
    for (int64_t i = 0; i < 40; ++i) ids.push_back(static_cast<TokenId>((i * i * 37 + 11 * i + 300) % 1900));
  }
  return ids;
}

std::vector<float> logprobs(const fs::path& model) {
  const auto engine = make_embedded_engine(model, {.n_threads = 2, .max_tokens = 256});
  return engine->logprobs(repeated_ids(), false).logprobs;
}

TEST(QuantiseCheckpoint, MovesTheLogProbabilitiesOfATrainedModelOnlyALittle) {
  TemporaryFolder folder;
  const std::vector<float> plain = logprobs(kNano);
  // In units of what the log probabilities are; nano has few and wide columns, larger models move less.
  const auto relative_change = [&](const Quantization& q, const char* name) {
    quantise_nano(folder / name, q);
    const std::vector<float> changed = logprobs(folder / name);
    double change = 0, sum = 0;
    for (size_t i = 0; i < plain.size(); ++i) {
      change += std::fabs(changed[i] - plain[i]);
      sum += std::fabs(plain[i]);
    }
    return change / sum;
  };
  const double int8 = relative_change(kInt8, "int8"), fp8 = relative_change(kFp8, "fp8"),
               int4 = relative_change(kInt4, "int4");
  EXPECT_GT(int8, 0.0);
  EXPECT_LT(int8, 0.03);
  EXPECT_LT(fp8, 0.08);
  EXPECT_LT(int4, 0.25);
  EXPECT_LT(int8, int4);
}

TEST(QuantiseCheckpoint, AQuantisedModelKeepsItsBitsInEveryBatchAndSaysWhatItIs) {
  TemporaryFolder folder;
  for (const Quantization& q : {kInt8, kInt4, kFp8}) {
    const fs::path out = folder / std::string(quant_format_name(q.format));
    quantise_nano(out, q);
    const std::vector<TokenId> ids = repeated_ids();
    std::vector<std::vector<float>> found[2];
    for (const Schedule schedule : {Schedule::kAlone, Schedule::kShared}) {
      const bool alone = schedule == Schedule::kAlone;
      const auto engine = make_embedded_engine(out, {.n_threads = alone ? 1 : 3,
                                                     .max_tokens = 256,
                                                     .chunk_tokens = alone ? 7 : 2048,
                                                     .schedule = schedule});
      EXPECT_EQ(json::parse(engine->numerics_json())["weights"], quantization_text(q));
      for (uint64_t i = 0; i < 12; ++i) {
        const auto n = static_cast<ptrdiff_t>(3 + i);
        engine->submit({i, ScoreRequest{{ids.begin(), ids.begin() + n}, {{ids.begin() + n, ids.end()}}}});
      }
      found[alone].resize(12);
      while (std::optional<Completion> done = engine->next())
        found[alone][done->id] = std::get<ScoreResult>(done->result).continuations[0].logprobs;
    }
    EXPECT_EQ(found[0], found[1]) << quantization_text(q);
  }
}

TEST(QuantiseCheckpoint, WritesShardsWithTheirIndexAndTheTokenizer) {
  TemporaryFolder folder;
  golden::write_checkpoint(folder / "in", 'A', {.dtype = Dtype::kBF16}, 3);
  golden::write_bytes(folder / "in" / "tokenizer.json", "{}");
  ThreadPool pool(2);
  const QuantisedCheckpoint done = quantise_checkpoint(folder / "in", folder / "out", kInt4, pool);
  const Checkpoint out = Checkpoint::load(folder / "out");
  EXPECT_EQ(out.config().quantization, kInt4);
  EXPECT_TRUE(out.warnings().empty());
  EXPECT_EQ(out.files().size(), 5u);  // config, index, three shards
  EXPECT_EQ(read_file(folder / "out" / "tokenizer.json"), "{}");
  EXPECT_EQ(out.weights().layers[0].self_attn.o_proj.dtype, Dtype::kI4);
  EXPECT_EQ(out.weights().layers[0].self_attn.kv_b_proj.dtype, Dtype::kBF16);
  EXPECT_EQ(out.weights().lm_head.dtype, Dtype::kBF16);
  EXPECT_EQ(out.weights().layers[1].moe->experts[0].down_proj.dtype, Dtype::kI4);
  EXPECT_LT(done.bytes_after, done.bytes_before);
  EXPECT_GT(done.n_quantised, 0);
}

TEST(QuantiseCheckpoint, RefusesAFullFolderAndAQuantisedModelAndLeavesNothingBehind) {
  TemporaryFolder folder;
  ThreadPool pool(1);
  fs::create_directories(folder / "full");
  golden::write_bytes(folder / "full" / "a", "a");
  expect_bad_input([&] { quantise_checkpoint(kNano, folder / "full", kInt8, pool); },
                   {"full", "not an empty"});
  quantise_nano(folder / "int8", kInt8);
  expect_bad_input([&] { quantise_checkpoint(folder / "int8", folder / "twice", kInt4, pool); },
                   {"quantised already", "int8"});
  EXPECT_FALSE(fs::exists(folder / "twice"));
  EXPECT_FALSE(fs::exists(folder / "twice.incomplete"));
  EXPECT_FALSE(fs::exists(folder / "full.incomplete"));
}

// nano in int8 or int4, with one tensor of the file changed.
class BrokenModel {
 public:
  explicit BrokenModel(const Quantization& q) { quantise_nano(folder_ / "m", q); }

  template <typename Change>
  void change_header(const Change& change) {
    const fs::path path = folder_ / "m" / "model.safetensors";
    std::string bytes = read_file(path);
    uint64_t length;
    std::memcpy(&length, bytes.data(), 8);
    json header = json::parse(bytes.substr(8, length));
    change(header);
    std::string text = header.dump();
    ASSERT_LE(text.size(), length);
    text.append(length - text.size(), ' ');
    golden::write_bytes(path, bytes.replace(8, length, text));
  }
  void change_config(const std::function<void(json&)>& change) {
    json config = json::parse(read_file(folder_ / "m" / "config.json"));
    change(config);
    golden::write_bytes(folder_ / "m" / "config.json", config.dump());
  }
  void expect(std::initializer_list<std::string_view> words) {
    expect_bad_input([&] { Checkpoint::load(folder_ / "m"); }, words);
  }

 private:
  TemporaryFolder folder_;
};

TEST(QuantisedCheckpoint, ScalesOfAnotherShapeDtypeOrGroupAreRefused) {
  const std::string o_proj = "model.layers.0.self_attn.o_proj.weight";
  BrokenModel shape(kInt8);
  shape.change_header([&](json& h) { h[o_proj + "_scale"]["shape"] = {1, 128}; });
  shape.expect({o_proj + "_scale", "BF16", "[128, 1]", "[1, 128]"});
  BrokenModel dtype(kInt8);
  dtype.change_header([&](json& h) { h[o_proj + "_scale"]["dtype"] = "F16"; });
  dtype.expect({o_proj + "_scale", "BF16", "F16"});
  BrokenModel group(kInt8);
  group.change_config(
      [](json& c) { c["quantization_config"]["config_groups"]["group_0"]["weights"]["group_size"] = 32; });
  group.expect({"_scale", "groups of 32"});
}

TEST(QuantisedCheckpoint, ConfigAndTensorsMustAgree) {
  BrokenModel silent(kInt8);
  silent.change_config([](json& c) { c.erase("quantization_config"); });
  silent.expect({"I8", "BF16 F16 F32"});
  BrokenModel other(kInt8);
  other.change_config([](json& c) { c["quantization_config"] = quantization_json(kFp8); });
  other.expect({"I8"});
  BrokenModel missing(kInt4);
  const std::string o_proj = "model.layers.0.self_attn.o_proj.weight";
  missing.change_header([&](json& h) {
    h["x"] = h[o_proj + "_packed"];
    h.erase(o_proj + "_packed");
  });
  missing.expect({"missing", o_proj + "_packed", "\"x\""});
  TemporaryFolder folder;
  golden::write_checkpoint(folder.path(), 'A');
  json config = golden::config('A');
  config["quantization_config"] = quantization_json(kInt8);
  golden::write_bytes(folder / "config.json", config.dump());
  expect_bad_input([&] { Checkpoint::load(folder.path()); },
                   {"quantization_config", "no tensor is stored so"});
}

}  // namespace
}  // namespace fathom::engine
