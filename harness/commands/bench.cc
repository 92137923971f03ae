// `fathom bench`: how fast the engine is on this machine, beside what the machine can do.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "engine/model_geometry.h"
#include "harness/bench/workloads.h"
#include "harness/commands.h"
#include "harness/machine.h"
#include "harness/options.h"
#include "harness/version.h"
#include "kernels/machine_peaks.h"

namespace fathom::harness {
namespace {

using nlohmann::json;

struct BenchOptions {
  EngineChoice engine;
  std::vector<std::string> what;
  std::vector<int64_t> sizes;
  int repeats = 5;
  std::string format = "bf16";
  std::string output;
};

// Of gemm's matrix.
const std::map<std::string, kernels::Dtype> kFormats = {{"fp32", kernels::Dtype::kF32},
                                                        {"bf16", kernels::Dtype::kBF16},
                                                        {"fp8", kernels::Dtype::kF8E4M3},
                                                        {"int8", kernels::Dtype::kI8},
                                                        {"int4", kernels::Dtype::kI4}};

MachinePeaks measure_peaks(ThreadPool& pool) {
  MachinePeaks peaks{kernels::measure_fma_peak(pool), kernels::measure_read_bandwidth(pool)};
  if (const auto peak = kernels::measure_bf16_peak(pool)) peaks.dot_products[kernels::Compute::kBF16] = *peak;
  if (const auto peak = kernels::measure_int8_peak(pool)) peaks.dot_products[kernels::Compute::kI8] = *peak;
  return peaks;
}

struct Workload {
  Figure (*run)(const BenchModel& model, int64_t size, int repeats);
  std::vector<int64_t> sizes;  // when none are asked for
};

const std::map<std::string, Workload>& workloads() {
  static const std::map<std::string, Workload> all = {
      {"prefill", {bench_prefill, {512, 2048}}},
      {"decode", {bench_decode, {1, 8, 32}}},
      {"score", {bench_score, {512}}},
      {"tokenizer", {bench_tokenizer, {1000}}},
  };
  return all;
}

BenchModel describe(LoadedEngine& loaded, kernels::Compute compute) {
  double bytes = 0;
  for (const engine::CheckpointFile& file : loaded.checkpoint->files())
    bytes += static_cast<double>(file.size_bytes);
  const auto parameters = engine::measure_geometry(loaded.checkpoint->config()).parameters;
  return {&loaded, bytes / static_cast<double>(parameters), compute};
}

void run_bench(const BenchOptions& options) {
  ThreadPool pool(options.engine.options.n_threads == 0 ? usable_processors()
                                                        : options.engine.options.n_threads);
  const MachinePeaks peaks = measure_peaks(pool);
  const MachineInfo machine = describe_machine();
  fmt::print("{}, {} threads: {:.1f} GFLOP/s fp32 FMA, {:.1f} GB/s read", machine.cpu, pool.n_threads(),
             peaks.flops / 1e9, peaks.read_bandwidth / 1e9);
  for (const auto& [compute, peak] : peaks.dot_products)
    fmt::print(", {:.1f} G{}/s {} dot products", peak / 1e9, compute == kernels::Compute::kI8 ? "OP" : "FLOP",
               kernels::compute_name(compute));
  fmt::print("\n\n");
  std::optional<LoadedEngine> loaded;
  const auto model = [&] {
    if (options.engine.model_dir.empty())
      throw Error(ErrorKind::kUsage, "only gemm runs without a model; give --model DIR");
    if (!loaded) loaded = load_engine(options.engine, WithTokenizer::kYes);
    return describe(*loaded, options.engine.options.compute);
  };
  std::vector<Figure> figures;
  fmt::print("{}", figure_header());
  for (const std::string& name : options.what) {
    const auto found = workloads().find(name);
    const bool gemm = found == workloads().end();
    const std::vector<int64_t> usual = gemm ? std::vector<int64_t>{1, 16, 512} : found->second.sizes;
    for (const int64_t size : options.sizes.empty() ? usual : options.sizes) {
      figures.push_back(gemm ? bench_gemm(pool, {kFormats.at(options.format), options.engine.options.compute},
                                          size, options.repeats)
                             : found->second.run(model(), size, options.repeats));
      fmt::print("{}", figure_line(figures.back(), peaks));
      std::fflush(stdout);
    }
  }
  if (options.output.empty()) return;
  const json context = {{"executable", "fathom"},
                        {"fathom", version_number()},
                        {"num_cpus", machine.cores},
                        {"cpu", machine.cpu},
                        {"instruction_sets", machine.instruction_sets},
                        {"threads", pool.n_threads()},
                        {"model", options.engine.model_dir}};
  write_file_atomically(options.output, figures_json(figures, peaks, context).dump(2) + "\n");
}

}  // namespace

void add_bench(CLI::App& app, CommandContext&) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure the engine beside what this machine can do");
  command->footer(R"(Workloads and what a size (--sizes) means:
  prefill    tokens of a prompt
  decode     sequences generated side by side
  score      tokens of the header that 32 questions share
  tokenizer  kilobytes of text
  gemm       rows times a matrix of 2,048 x 2,048 in --format, computed as --compute says; needs no --model
Each is done once unmeasured, then --repeats times. The last column compares with this machine's measured fp32
FMA peak, its dot products where --compute uses them, or read bandwidth, whichever limits. --output writes the layout of Google Benchmark's JSON.

Examples:
  fathom bench prefill decode --model DIR
  fathom bench gemm --sizes 1,8,64,512
  fathom bench gemm --format int8 --compute int8)");
  command->add_option("WHAT", options->what, "prefill, decode, score, tokenizer, gemm")
      ->required()
      ->check(CLI::IsMember({"prefill", "decode", "score", "tokenizer", "gemm"}));
  add_engine_options(*command, options->engine);
  command->get_option("--model")->required(false);
  command->add_option("--sizes", options->sizes, "sizes of the workload; default: usual ones")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->option_text("N,...");
  command->add_option("--format", options->format, "gemm's matrix: fp32, bf16, fp8, int8 or int4 (bf16)")
      ->check(CLI::IsMember({"fp32", "bf16", "fp8", "int8", "int4"}))
      ->option_text("FORMAT");
  command->add_option("--repeats", options->repeats, "measured repeats (5)")
      ->check(CLI::Range(1, 10000))
      ->option_text("N");
  command->add_option("--output", options->output, "also write JSON")->option_text("FILE");
  command->callback([options] { run_bench(*options); });
}

}  // namespace fathom::harness
