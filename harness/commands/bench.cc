// `fathom bench`: how fast the engine is on this machine, beside what the machine can do.
#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "harness/bench/workloads.h"
#include "harness/commands.h"
#include "harness/machine.h"
#include "harness/options.h"
#include "harness/provenance.h"
#include "harness/version.h"
#include "kernels/device.h"
#include "kernels/machine_peaks.h"
#include "results/bench.h"
#include "results/store.h"

namespace fathom::harness {
namespace {

using nlohmann::json;

struct BenchOptions {
  EngineChoice engine;
  std::vector<std::string> what;
  std::vector<int64_t> sizes;
  GenerateCase generate;
  int repeats = 5;
  std::string format = "bf16";
  std::string output;
  std::string db;
  bool store = false;
  std::vector<std::string> command_line;
};

// Of gemm's matrix.
const std::map<std::string, kernels::Dtype> kFormats = {{"fp32", kernels::Dtype::kF32},
                                                        {"bf16", kernels::Dtype::kBF16},
                                                        {"fp8", kernels::Dtype::kF8E4M3},
                                                        {"int8", kernels::Dtype::kI8},
                                                        {"int4", kernels::Dtype::kI4}};

MachinePeaks measure_peaks(ThreadPool& pool, kernels::Space space) {
  if (space == kernels::Space::kCuda) {
    const kernels::OwnedStream owned(space, nullptr);
    const kernels::DevicePeaks device = kernels::measure_device_peaks(owned.stream());
    return {device.fma_flops, device.read_bandwidth, {{kernels::Compute::kBF16, device.bf16_flops}}};
  }
  MachinePeaks peaks{kernels::measure_fma_peak(pool), kernels::measure_read_bandwidth(pool)};
  if (const auto peak = kernels::measure_bf16_peak(pool)) peaks.dot_products[kernels::Compute::kBF16] = *peak;
  if (const auto peak = kernels::measure_int8_peak(pool)) peaks.dot_products[kernels::Compute::kI8] = *peak;
  return peaks;
}

struct Workload {
  std::function<Figure(const BenchModel& model, int64_t size, int repeats)> run;
  std::vector<int64_t> sizes;  // when none are asked for
};

std::map<std::string, Workload> workloads(const BenchOptions& options) {
  const auto run_generate = [shape = options.generate](const BenchModel& model, int64_t n_requests,
                                                       int repeats) {
    return bench_generate(model, shape, n_requests, repeats);
  };
  return {
      {"prefill", {bench_prefill, {512, 2048}}}, {"decode", {bench_decode, {1, 8, 32}}},
      {"generate", {run_generate, {16}}},        {"score", {bench_score, {512}}},
      {"tokenizer", {bench_tokenizer, {1000}}},
  };
}

/// A workload that needs no model.
struct KernelWorkload {
  std::vector<std::function<Figure(ThreadPool& pool, int64_t size, int repeats)>> parts;
  std::vector<int64_t> sizes;
};

std::map<std::string, KernelWorkload> kernel_workloads(const BenchOptions& options) {
  const GemmCase gemm{kFormats.at(options.format), options.engine.options.compute};
  const auto run_gemm = [gemm](ThreadPool& pool, int64_t n_rows, int repeats) {
    return bench_gemm(pool, gemm, n_rows, repeats);
  };
  return {{"attention", {{bench_attention_expanded, bench_attention_absorbed}, {512, 2048}}},
          {"gemm", {{run_gemm}, {1, 16, 512}}}};
}

int64_t store(const BenchOptions& options, const std::vector<Figure>& figures, const MachinePeaks& peaks,
              const json& context) {
  results::BenchRecord bench{.created_us = unix_time_us(),
                             .build = running_build(),
                             .machine_json = machine_json(space_of(options.engine.device)),
                             .command_json = json(options.command_line).dump(),
                             .context_json = context.dump()};
  for (const Figure& figure : figures) {
    const std::optional<double> of_sweep = figure.share_of_sweep();
    bench.figures.push_back({.name = figure.name,
                             .unit = figure.unit,
                             .rate = figure.rate(),
                             .share = of_sweep ? of_sweep : figure.share_of_peak(peaks),
                             .share_of = of_sweep ? "read sweep" : figure.limit(),
                             .repeats_json = figure_entries(figure).dump()});
  }
  results::Store store = results::Store::open_for_writing(options.db, version_number());
  return results::store_bench(store.database(), bench);
}

void run_bench(const BenchOptions& options) {
  if (options.store && options.db.empty())
    throw Error(ErrorKind::kUsage, "--store needs the database to store in: --db FILE");
  ThreadPool pool(options.engine.options.n_threads == 0 ? usable_processors()
                                                        : options.engine.options.n_threads);
  const kernels::Space space = space_of(options.engine.device);
  kernels::check_usable(space);
  const std::map<std::string, KernelWorkload> without_model = kernel_workloads(options);
  for (const std::string& name : options.what) {
    if (space != kernels::Space::kCpu && without_model.contains(name))
      throw Error(ErrorKind::kUsage, "measures the CPU's kernels; leave out --device", name);
  }
  const MachinePeaks peaks = measure_peaks(pool, space);
  const MachineInfo machine = describe_machine();
  const std::optional<std::string> device = kernels::device_name(space);
  fmt::print("{}: {:.1f} GFLOP/s fp32 FMA, {:.1f} GB/s read",
             device ? *device : fmt::format("{}, {} threads", machine.cpu, pool.n_threads()),
             peaks.flops / 1e9, peaks.read_bandwidth / 1e9);
  for (const auto& [compute, peak] : peaks.dot_products)
    fmt::print(", {:.1f} G{}/s {} dot products", peak / 1e9, compute == kernels::Compute::kI8 ? "OP" : "FLOP",
               kernels::compute_name(compute));
  fmt::print("\n\n");
  std::optional<LoadedEngine> loaded;
  const auto model = [&] {
    if (options.engine.model_dir.empty())
      throw Error(ErrorKind::kUsage, "only attention and gemm run without a model; give --model DIR");
    if (!loaded) loaded = load_engine(options.engine, WithTokenizer::kYes);
    return BenchModel{&*loaded, options.engine.options.compute, options.engine.options.kv, space};
  };
  std::vector<Figure> figures;
  const auto show = [&](Figure figure) {
    fmt::print("{}", figure_line(figure, peaks));
    std::fflush(stdout);
    figures.push_back(std::move(figure));
  };
  const auto sizes = [&](const std::vector<int64_t>& usual) {
    return options.sizes.empty() ? usual : options.sizes;
  };
  const std::map<std::string, Workload> with_model = workloads(options);
  fmt::print("{}", figure_header());
  for (const std::string& name : options.what) {
    if (const auto found = without_model.find(name); found != without_model.end()) {
      for (const auto& part : found->second.parts) {
        for (const int64_t size : sizes(found->second.sizes)) show(part(pool, size, options.repeats));
      }
      continue;
    }
    const Workload& workload = with_model.at(name);
    for (const int64_t size : sizes(workload.sizes)) show(workload.run(model(), size, options.repeats));
  }
  json context = {{"executable", "fathom"},
                  {"fathom", version_number()},
                  {"num_cpus", machine.cores},
                  {"cpu", machine.cpu},
                  {"instruction_sets", machine.instruction_sets},
                  {"threads", pool.n_threads()},
                  {"model", options.engine.model_dir}};
  if (device) context["device"] = *device;
  if (loaded) context["numerics"] = json::parse(loaded->engine->numerics_json());
  const json all = figures_json(figures, peaks, context);
  if (!options.output.empty()) write_file_atomically(options.output, all.dump(2) + "\n");
  if (!options.store) return;
  const int64_t number = store(options, figures, peaks, all.at("context"));
  fmt::print("\nstored as benchmark {} in {}\n", number, options.db);
}

}  // namespace

void add_bench(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure the engine beside what this machine can do");
  command->footer(R"(Workloads and what a size (--sizes) means:
  prefill    tokens of a prompt
  decode     sequences generated side by side, behind a common prompt of 512 tokens; one: a prompt of 32 tokens,
             and a sweep over the same weights after each repeat
  generate   requests submitted at once, each with --prompt tokens of its own and --new tokens to generate
  score      tokens of the header that 32 questions share
  tokenizer  kilobytes of text
  attention  tokens of a prompt: computed (expanded), or shared by 32 generated tokens (absorbed); no --model
  gemm       rows times a matrix of 2,048 x 2,048 in --format, computed as --compute says; no --model
Each is done once unmeasured, then --repeats times. The last column compares with this machine's measured fp32
FMA peak, its dot products where --compute uses them, or read bandwidth, whichever limits.
--output writes the layout of Google Benchmark's JSON; --store keeps the figures in a results database, where
`fathom list benchmarks --db FILE` shows them.

Examples:
  fathom bench prefill decode --model DIR
  fathom bench generate --model DIR --sizes 16 --prompt 1000 --new 128
  fathom bench gemm --sizes 1,8,64,512
  fathom bench gemm --format int8 --compute int8
  fathom bench prefill --model DIR --store --db results.db)");
  command->add_option("WHAT", options->what, "prefill, decode, generate, score, tokenizer, attention, gemm")
      ->required()
      ->check(CLI::IsMember({"prefill", "decode", "generate", "score", "tokenizer", "attention", "gemm"}));
  add_engine_options(*command, options->engine);
  command->get_option("--model")->required(false);
  command->add_option("--sizes", options->sizes, "sizes of the workload; default: usual ones")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->option_text("N,...");
  command->add_option("--format", options->format, "gemm's matrix: fp32, bf16, fp8, int8 or int4 (bf16)")
      ->check(CLI::IsMember({"fp32", "bf16", "fp8", "int8", "int4"}))
      ->option_text("FORMAT");
  command
      ->add_option("--prompt", options->generate.prompt_tokens, "generate's prompts: tokens of each (1000)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->option_text("N");
  command->add_option("--new", options->generate.new_tokens, "generate's new tokens of each request (128)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->option_text("N");
  command->add_option("--repeats", options->repeats, "measured repeats (5)")
      ->check(CLI::Range(1, 10000))
      ->option_text("N");
  command->add_option("--output", options->output, "also write JSON")->option_text("FILE");
  command->add_flag("--store", options->store,
                    "keep the figures in --db, with machine, commit and command line");
  command->add_option("--db", options->db, "results database for --store")->option_text("FILE");
  command->callback([options, &context] {
    options->command_line = context.command_line;
    run_bench(*options);
  });
}

}  // namespace fathom::harness
