#include "harness/bench/workloads.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <random>
#include <string>

#include "base/error.h"
#include "engine/latent_cache.h"
#include "engine/model_geometry.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"
#include "kernels/machine_peaks.h"

namespace fathom::harness {
namespace {

using Clock = std::chrono::steady_clock;
using engine::TokenId;

constexpr int64_t kDecodePrompt = 32;
constexpr int64_t kSharedPrompt = 512;
constexpr int64_t kDecodeTokens = 64;
constexpr int64_t kQuestions = 32;
constexpr int64_t kQuestionTokens = 64;
constexpr int64_t kGemmWidth = 2048;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

const engine::ModelConfig& config_of(const BenchModel& model) {
  return model.loaded->checkpoint->config();
}

std::vector<TokenId> random_ids(int64_t n, int64_t vocab_size, std::mt19937_64& random) {
  std::vector<TokenId> ids(static_cast<size_t>(n));
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % static_cast<uint64_t>(vocab_size));
  return ids;
}

/// Times repeats of `work() -> seconds`, one unmeasured first.
template <typename Work>
Figure repeated(Figure figure, int repeats, const Work& work) {
  for (int i = -1; i < repeats; ++i) {
    const double seconds = work();
    if (i >= 0) figure.seconds.push_back(seconds);
  }
  return figure;
}

/// Collects everything submitted; throws Error{kUsage} for what the engine refuses.
std::vector<engine::Completion> collect(engine::Engine& engine) {
  std::vector<engine::Completion> all;
  while (std::optional<engine::Completion> completion = engine.next()) {
    if (const auto* failure = std::get_if<engine::RequestFailure>(&completion->result))
      throw Error(ErrorKind::kUsage, failure->message);
    all.push_back(std::move(*completion));
  }
  return all;
}

double attention_flop(const engine::ModelConfig& c, double n_tokens) {
  return static_cast<double>(c.num_hidden_layers * c.num_attention_heads * (c.qk_head_dim() + c.v_head_dim)) *
         n_tokens * n_tokens;
}

// Parameters that a token is multiplied with in the arithmetic of --compute.
double computed_parameters(const engine::ModelGeometry& geometry) {
  int64_t sum = 0;
  for (const engine::TensorSummary& tensor : geometry.tensors) {
    if (tensor.row->may_be_quantised() && tensor.row->group != engine::TensorGroup::kHead)
      sum += tensor.active_parameters;
  }
  return static_cast<double>(sum);
}

/// The bytes that a generated token reads: every matrix it goes through, of each mixture's experts as many as
/// a token takes, others each time.
std::vector<std::span<const std::byte>> bytes_of_a_token(const BenchModel& model, std::mt19937_64& random) {
  std::vector<std::span<const std::byte>> parts;
  const auto add = [&](const engine::Tensor& t) {
    if (t.data != nullptr) parts.emplace_back(static_cast<const std::byte*>(t.data), t.bytes());
    if (t.scales.data != nullptr)
      parts.emplace_back(static_cast<const std::byte*>(t.scales.data), t.scale_bytes());
  };
  const auto add_mlp = [&](const engine::MlpWeights& mlp) {
    for (const engine::Tensor& t : {mlp.gate_proj, mlp.up_proj, mlp.down_proj}) add(t);
  };
  const engine::Weights& weights = model.loaded->checkpoint->weights();
  for (const engine::LayerWeights& layer : weights.layers) {
    const engine::AttentionWeights& w = layer.self_attn;
    for (const engine::Tensor& t :
         {w.q_proj, w.q_a_proj, w.q_b_proj, w.kv_a_proj_with_mqa, w.kv_b_proj, w.o_proj})
      add(t);
    if (layer.mlp) add_mlp(*layer.mlp);
    if (!layer.moe) continue;
    add(layer.moe->gate);
    if (layer.moe->shared_experts) add_mlp(*layer.moe->shared_experts);
    std::vector<engine::MlpWeights> chosen;
    std::sample(layer.moe->experts.begin(), layer.moe->experts.end(), std::back_inserter(chosen),
                config_of(model).num_experts_per_tok, random);
    for (const engine::MlpWeights& expert : chosen) add_mlp(expert);
  }
  add(weights.lm_head);
  return parts;
}

/// Seconds from the moment that all of `prompts` have their first new token until all have kDecodeTokens.
double decode_seconds(const BenchModel& model, const std::vector<std::vector<TokenId>>& prompts) {
  for (size_t i = 0; i < prompts.size(); ++i) {
    model.loaded->engine->submit(
        {static_cast<uint64_t>(i),
         engine::GenerateRequest{.prompt = prompts[i], .max_tokens = kDecodeTokens, .ignore_eos = true}});
  }
  double first = 0, last = 0;
  for (const engine::Completion& completion : collect(*model.loaded->engine)) {
    first = std::max(first, completion.timing.first_token_s);
    last = std::max(last, completion.timing.total_s);
  }
  return last - first;
}

Figure bench_one_sequence(const BenchModel& model, Figure figure, int repeats) {
  const engine::ModelConfig& config = config_of(model);
  const int64_t n_timed = kDecodeTokens - 1;
  std::mt19937_64 random(2);
  const auto latents = static_cast<double>(engine::LatentCache::token_bytes(config, model.kv) *
                                           (kDecodePrompt + kDecodeTokens / 2));
  double weights = 0;
  for (const auto& part : bytes_of_a_token(model, random)) weights += static_cast<double>(part.size());
  figure.bytes = static_cast<double>(n_timed) * (weights + latents);
  ThreadPool pool(model.loaded->engine->n_threads());
  std::vector<double> sweeps;
  figure = repeated(std::move(figure), repeats, [&] {
    const double seconds = decode_seconds(model, {random_ids(kDecodePrompt, config.vocab_size, random)});
    if (model.space != kernels::Space::kCpu) return seconds;  // its weights are not where this thread reads
    double sweep = 0;
    for (int64_t i = 0; i < n_timed; ++i)
      sweep += kernels::measure_sweep(pool, bytes_of_a_token(model, random));
    sweeps.push_back(sweep);
    return seconds;
  });
  // The first repeat is not measured.
  if (!sweeps.empty()) figure.sweep_seconds.assign(sweeps.begin() + 1, sweeps.end());
  return figure;
}

}  // namespace

Figure bench_prefill(const BenchModel& model, int64_t n_tokens, int repeats) {
  const engine::ModelConfig& config = config_of(model);
  const engine::ModelGeometry geometry = engine::measure_geometry(config);
  const auto n = static_cast<double>(n_tokens);
  std::mt19937_64 random(1);
  Figure figure{.name = fmt::format("prefill/{}", n_tokens),
                .unit = "tok/s",
                .items = n,
                .flop = 2.0 * static_cast<double>(geometry.active_without_embedding_and_head) * n +
                        attention_flop(config, n)};
  if (model.compute != kernels::Compute::kF32) {
    const double dot_flop = 2.0 * computed_parameters(geometry) * n;
    figure.dot_products = {model.compute, dot_flop};
    *figure.flop -= dot_flop;
  }
  return repeated(std::move(figure), repeats, [&] {
    engine::ScoreRequest request{random_ids(n_tokens, config.vocab_size, random), {{0}}};
    const auto start = Clock::now();
    model.loaded->engine->submit({0, std::move(request)});
    collect(*model.loaded->engine);
    return seconds_since(start);
  });
}

Figure bench_decode(const BenchModel& model, int64_t n_sequences, int repeats) {
  const engine::ModelConfig& config = config_of(model);
  Figure figure{
      .name = fmt::format("decode/{}", n_sequences),
      .unit = "tok/s",
      .items = static_cast<double>(n_sequences * (kDecodeTokens - 1))};  // the first is the prompt's
  if (n_sequences == 1) return bench_one_sequence(model, std::move(figure), repeats);
  std::mt19937_64 random(2);
  return repeated(std::move(figure), repeats, [&] {
    const std::vector<TokenId> shared = random_ids(kSharedPrompt, config.vocab_size, random);
    std::vector<std::vector<TokenId>> prompts(static_cast<size_t>(n_sequences), shared);
    for (auto& prompt : prompts) prompt.push_back(random_ids(1, config.vocab_size, random)[0]);
    return decode_seconds(model, prompts);
  });
}

Figure bench_generate(const BenchModel& model, const GenerateCase& shape, int64_t n_requests, int repeats) {
  const int64_t vocab_size = config_of(model).vocab_size;
  std::mt19937_64 random(5);
  std::vector<double> first_tokens;
  Figure figure =
      repeated({.name = fmt::format("generate/{}x{}+{}", n_requests, shape.prompt_tokens, shape.new_tokens),
                .unit = "tok/s",
                .items = static_cast<double>(n_requests * shape.new_tokens)},
               repeats, [&] {
                 const auto start = Clock::now();
                 for (int64_t i = 0; i < n_requests; ++i) {
                   model.loaded->engine->submit(
                       {static_cast<uint64_t>(i),
                        engine::GenerateRequest{.prompt = random_ids(shape.prompt_tokens, vocab_size, random),
                                                .max_tokens = shape.new_tokens,
                                                .ignore_eos = true}});
                 }
                 std::vector<double> waits;
                 for (const engine::Completion& completion : collect(*model.loaded->engine))
                   waits.push_back(completion.timing.first_token_s);
                 first_tokens.push_back(median(std::move(waits)));
                 return seconds_since(start);
               });
  figure.first_token_seconds.assign(first_tokens.begin() + 1, first_tokens.end());  // likewise
  return figure;
}

Figure bench_score(const BenchModel& model, int64_t n_header, int repeats) {
  const engine::ModelConfig& config = config_of(model);
  std::mt19937_64 random(3);
  return repeated({.name = fmt::format("score/{}", n_header),
                   .unit = "questions/s",
                   .items = static_cast<double>(kQuestions)},
                  repeats, [&] {
                    const std::vector<TokenId> header = random_ids(n_header, config.vocab_size, random);
                    const auto start = Clock::now();
                    for (int64_t i = 0; i < kQuestions; ++i) {
                      engine::ScoreRequest request{header, {{0}, {1}, {2}, {3}}};
                      const auto question = random_ids(kQuestionTokens, config.vocab_size, random);
                      request.context.insert(request.context.end(), question.begin(), question.end());
                      model.loaded->engine->submit({static_cast<uint64_t>(i), std::move(request)});
                    }
                    collect(*model.loaded->engine);
                    return seconds_since(start);
                  });
}

Figure bench_tokenizer(const BenchModel& model, int64_t n_kilobytes, int repeats) {
  // Words drawn from a fixed list: repetitive, as text is, but no two sentences are the same.
  static constexpr const char* kWords[] = {
      "the",    "of",     "harbour", "measured", "light",   "and", "in",     "seven", "letters", "under",
      "wooden", "bridge", "between", "morning",  "carried", "a",   "slowly", "north", "paper",   "engine"};
  std::mt19937_64 random(4);
  std::string text;
  while (text.size() < static_cast<size_t>(n_kilobytes) * 1000) {
    text += kWords[random() % std::size(kWords)];
    text += random() % 12 == 0 ? ".\n" : " ";
  }
  const auto* tokenizer = model.loaded->tokenizer.get();
  return repeated({.name = fmt::format("tokenizer/{}KB", n_kilobytes),
                   .unit = "MB/s",
                   .items = static_cast<double>(text.size()) / 1e6},
                  repeats, [&] {
                    const auto start = Clock::now();
                    const auto ids = tokenizer->encode(text, engine::SpecialTokens::kText);
                    FATHOM_CHECK(!ids.empty());
                    return seconds_since(start);
                  });
}

Figure bench_gemm(ThreadPool& pool, const GemmCase& gemm, int64_t n_rows, int repeats) {
  const auto n = static_cast<size_t>(n_rows), width = static_cast<size_t>(kGemmWidth);
  const bool integers = gemm.weights == kernels::Dtype::kI8 || gemm.weights == kernels::Dtype::kI4;
  if (gemm.compute == kernels::Compute::kI8 && !integers)
    throw Error(ErrorKind::kUsage, "needs --format int8 or int4", "--compute int8");
  if (const auto refusal = kernels::compute_refusal(kernels::Space::kCpu, gemm.compute))
    throw Error(ErrorKind::kEnvironment, *refusal, "--compute");
  std::vector<float> x(n * width, 0.5f), y(n * width);
  // 1.0 in bf16; as codes, some number in any format, and a scale of 1.0 for every group.
  const std::vector<uint16_t> w(width * width, 0x3f80), scales(width * width / 32, 0x3f80);
  const std::vector<float> fp8_scales(width * width / (128 * 128), 1.0f);
  const kernels::Stream stream{.pool = &pool};
  const kernels::Tensor xs(x.data(), kernels::Dtype::kF32, {n_rows, kGemmWidth});
  kernels::Tensor ws(w.data(), gemm.weights, {kGemmWidth, kGemmWidth});
  if (gemm.weights == kernels::Dtype::kF8E4M3) {
    ws.scales = {const_cast<float*>(fp8_scales.data()), 128, 128};
  } else if (integers) {
    ws.scales = {const_cast<uint16_t*>(scales.data()), 1, gemm.weights == kernels::Dtype::kI8 ? 128 : 64};
  }
  const kernels::Tensor ys(y.data(), kernels::Dtype::kF32, {n_rows, kGemmWidth});
  const kernels::Buffer scratch(kernels::Space::kCpu,
                                kernels::linear_scratch_bytes(stream, gemm.compute, n_rows, kGemmWidth));
  const double flop = 2.0 * static_cast<double>(n_rows * kGemmWidth * kGemmWidth);
  // Few rows are over too soon for the clock: as many products as make a gigaflop.
  const auto n_products = std::max<int64_t>(1, static_cast<int64_t>(1e9 / flop));
  Figure figure{.name = fmt::format("gemm/{}/{}/{}x{}x{}", kernels::dtype_name(gemm.weights),
                                    kernels::compute_name(gemm.compute), n_rows, kGemmWidth, kGemmWidth),
                .unit = "GFLOP/s",
                .items = flop * static_cast<double>(n_products) / 1e9};
  if (gemm.compute == kernels::Compute::kF32) {
    figure.flop = flop * static_cast<double>(n_products);
  } else {
    figure.dot_products = {gemm.compute, flop * static_cast<double>(n_products)};
  }
  return repeated(std::move(figure), repeats, [&] {
    const auto start = Clock::now();
    for (int64_t i = 0; i < n_products; ++i) {
      kernels::linear(
          stream, {.x = xs, .weight = ws, .out = ys, .compute = gemm.compute, .scratch = scratch.scratch()});
    }
    return seconds_since(start);
  });
}

}  // namespace fathom::harness
