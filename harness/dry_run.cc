// fathom run --dry-run: what a run would ask and cost.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "engine/checkpoint.h"
#include "engine/model_geometry.h"
#include "harness/open_tasks.h"
#include "harness/run.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"

namespace fathom::harness {
namespace {

using engine::TokenId;

struct Census {
  int64_t n_requests = 0;
  int64_t n_refused = 0;
  std::string first_refusal;
  int64_t n_truncated = 0;
  int64_t context_tokens = 0;
  int64_t repeated_tokens = 0;  // of those, of a document's further answers
  int64_t continuation_tokens = 0;
  int64_t most_generated_tokens = 0;  // if every answer used its whole allowance
  int64_t longest = 0;                // context plus answer
  std::vector<std::vector<TokenId>> contexts;
};

void count(const BuiltRequest& request, int64_t n_reps, Census& census) {
  census.n_requests += n_reps;
  if (request.refusal) {
    if (census.n_refused == 0) census.first_refusal = *request.refusal;
    census.n_refused += n_reps;
    return;
  }
  census.n_truncated += request.n_truncated > 0 ? n_reps : 0;
  const auto n_context = static_cast<int64_t>(request.context().size());
  census.context_tokens += n_context * n_reps;
  census.repeated_tokens += n_context * (n_reps - 1);
  int64_t answer = 0;
  if (const auto* score = std::get_if<engine::ScoreRequest>(&request.body)) {
    for (const auto& continuation : score->continuations) {
      census.continuation_tokens += static_cast<int64_t>(continuation.size()) * n_reps;
      answer = std::max(answer, static_cast<int64_t>(continuation.size()));
    }
  } else {
    answer = std::get<engine::GenerateRequest>(request.body).max_tokens;
    census.most_generated_tokens += answer * n_reps;
  }
  census.longest = std::max(census.longest, n_context + answer);
  census.contexts.push_back(request.context());
}

// Tokens that some earlier context (in sorted order) begins with too: what the engine computes once.
int64_t shared_tokens(std::vector<std::vector<TokenId>>& contexts) {
  std::sort(contexts.begin(), contexts.end());
  int64_t shared = 0;
  for (size_t i = 1; i < contexts.size(); ++i) {
    const auto& a = contexts[i - 1];
    const auto& b = contexts[i];
    shared += std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  }
  return shared;
}

// FLOP/s of a matrix product of the model's width, measured for a fifth of a second on `threads` threads.
double measured_flops(int64_t hidden_size, int threads) {
  constexpr int64_t kRows = 256;
  const int64_t n = std::clamp<int64_t>(hidden_size, 128, 4096);
  std::vector<float> x(static_cast<size_t>(kRows * n), 0.5f), y(static_cast<size_t>(kRows * n));
  std::vector<uint16_t> w(static_cast<size_t>(n * n), 0x3f80);  // bf16 1.0
  ThreadPool pool(threads);
  const kernels::Stream stream{.pool = &pool};
  const kernels::Tensor xs(x.data(), kernels::Dtype::kF32, {kRows, n});
  const kernels::Tensor ws(w.data(), kernels::Dtype::kBF16, {n, n});
  const kernels::Tensor ys(y.data(), kernels::Dtype::kF32, {kRows, n});
  const kernels::Buffer scratch(kernels::Space::kCpu,
                                kernels::linear_scratch_bytes(stream, kernels::Compute::kF32, kRows, n));
  const auto start = std::chrono::steady_clock::now();
  double elapsed = 0;
  int64_t products = 0;
  do {
    kernels::linear(stream, {.x = xs, .weight = ws, .out = ys, .scratch = scratch.scratch()});
    ++products;
    elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  } while (elapsed < 0.2);
  return 2.0 * static_cast<double>(kRows * n * n * products) / elapsed;
}

// Matrix products alone. Every token goes through the layers, only those that are scored through the head.
double matrix_flops(const engine::ModelConfig& config, int64_t active_parameters, int64_t fed,
                    int64_t scored) {
  const double head = static_cast<double>(config.vocab_size) * static_cast<double>(config.hidden_size);
  const double layers = static_cast<double>(active_parameters) - head;
  return 2.0 * (layers * static_cast<double>(fed) + head * static_cast<double>(scored));
}

double weight_bytes(const engine::Checkpoint& checkpoint) {
  double bytes = 0;
  for (const engine::CheckpointFile& file : checkpoint.files()) bytes += static_cast<double>(file.size_bytes);
  return bytes;
}

}  // namespace

int dry_run(const RunPlan& plan) {
  const tasks::Selection selection = select_tasks(plan.asking);
  const engine::Tokenizer tokenizer = engine::Tokenizer::load(plan.engine.model_dir);
  const engine::Checkpoint checkpoint = engine::Checkpoint::load(plan.engine.model_dir);
  const engine::ModelConfig& config = checkpoint.config();
  const TokenizerCounter counter(tokenizer);
  const std::vector<OpenTask> open = open_tasks(plan, selection, counter);
  print_left_out_pass_at_k(open);
  RequestBuilder builder(
      tokenizer, {.bos = plan.bos,
                  .special = engine::SpecialTokens::kParse,
                  .truncate = plan.truncate,
                  .max_tokens = plan.engine.options.max_tokens.value_or(config.max_position_embeddings)});
  Census census;
  for (const OpenTask& task : open) {
    for (int64_t i = 0; i < task.n_planned; ++i) {
      const tasks::Sample& sample = task.documents.samples[static_cast<size_t>(i)];
      count(builder.build(task.documents.prompt(sample)), task.n_reps, census);
    }
  }
  const engine::ModelGeometry geometry = engine::measure_geometry(config);
  const int64_t shared = shared_tokens(census.contexts) + census.repeated_tokens;
  const int64_t answers = census.continuation_tokens + census.most_generated_tokens;
  const int n_threads =
      plan.engine.options.n_threads > 0 ? plan.engine.options.n_threads : usable_processors();
  const double seconds = matrix_flops(config, geometry.active_without_input_embedding,
                                      census.context_tokens - shared + answers, answers) /
                         measured_flops(config.hidden_size, n_threads);
  const double cache_bytes =
      static_cast<double>(census.longest) * static_cast<double>(geometry.cache.latent) * sizeof(float);

  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  fmt::print("dry run: nothing was computed or stored\n");
  fmt::print("{:<28}{:>16}\n", "tasks", open.size());
  fmt::print("{:<28}{:>16}\n", "requests", census.n_requests);
  fmt::print("{:<28}{:>16}\n", "prompt tokens", census.context_tokens);
  fmt::print("{:<28}{:>16}  (with another prompt, computed once)\n", "  of these shared", shared);
  fmt::print("{:<28}{:>16}\n", "scored tokens", census.continuation_tokens);
  fmt::print("{:<28}{:>16}  (if no answer stops early)\n", "generated tokens, at most",
             census.most_generated_tokens);
  fmt::print("{:<28}{:>16}  tokens\n", "longest request", census.longest);
  fmt::print("{:<28}{:>16}\n", "prompts cut to fit", census.n_truncated);
  fmt::print("{:<28}{:>16}{}\n", "prompts too long", census.n_refused,
             census.n_refused == 0 ? "" : "  (" + census.first_refusal + ")");
  fmt::print("{:<28}{:>12.2f} GiB  (mapped)\n", "weights", weight_bytes(checkpoint) / kGiB);
  fmt::print("{:<28}{:>12.2f} GiB  (longest request)\n", "latent cache", cache_bytes / kGiB);
  fmt::print("{:<28}{:>16}  (at this machine's measured matrix speed, attention left out)\n",
             "estimated time", format_duration(seconds));
  if (!plan.output.empty()) {
    const nlohmann::json report = {{"tasks", open.size()},
                                   {"requests", census.n_requests},
                                   {"prompt_tokens", census.context_tokens},
                                   {"shared_tokens", shared},
                                   {"scored_tokens", census.continuation_tokens},
                                   {"max_generated_tokens", census.most_generated_tokens},
                                   {"longest_request_tokens", census.longest},
                                   {"truncated", census.n_truncated},
                                   {"refused", census.n_refused},
                                   {"estimated_s", seconds}};
    write_file_atomically(plan.output, report.dump(2) + "\n");
  }
  return kExitDone;
}

}  // namespace fathom::harness
