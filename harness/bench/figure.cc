#include "harness/bench/figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fathom::harness {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double Figure::rate() const {
  return items / median(seconds);
}

std::optional<double> Figure::share_of_peak(const MachinePeaks& peaks) const {
  if (dot_products) {
    const auto peak = peaks.dot_products.find(dot_products->first);
    if (peak == peaks.dot_products.end()) return std::nullopt;
    return (flop.value_or(0.0) / peaks.flops + dot_products->second / peak->second) / median(seconds);
  }
  if (flop) return *flop / median(seconds) / peaks.flops;
  if (bytes) return *bytes / median(seconds) / peaks.read_bandwidth;
  return std::nullopt;
}

std::optional<double> Figure::share_of_sweep() const {
  if (sweep_seconds.empty()) return std::nullopt;
  std::vector<double> ratios;
  for (size_t i = 0; i < seconds.size(); ++i) ratios.push_back(sweep_seconds[i] / seconds[i]);
  return median(std::move(ratios));
}

std::string Figure::limit() const {
  if (!dot_products) return flop ? "FMA" : bytes ? "read bandwidth" : "";
  return fmt::format("{} dot products{}", kernels::compute_name(dot_products->first), flop ? " and FMA" : "");
}

std::string figure_header() {
  return fmt::format("{:<28} {:>8} {:>12} {:>12} {:>12}  {}\n", "benchmark", "unit", "median", "slowest",
                     "fastest", "of the machine's peak");
}

std::string figure_line(const Figure& figure, const MachinePeaks& peaks) {
  const auto [fastest, slowest] = std::minmax_element(figure.seconds.begin(), figure.seconds.end());
  const std::optional<double> share = figure.share_of_peak(peaks);
  const std::string roof = share ? fmt::format("{:5.1f} % of {}", 100 * *share, figure.limit()) : "";
  const std::optional<double> of_sweep = figure.share_of_sweep();
  const std::string sweep = of_sweep ? fmt::format(", {:.1f} % of a read sweep", 100 * *of_sweep) : "";
  const std::string first_token =
      figure.first_token_seconds.empty()
          ? ""
          : fmt::format("{:.2f} s in all, {:.2f} s to the first token", median(figure.seconds),
                        median(figure.first_token_seconds));
  return fmt::format("{:<28} {:>8} {:>12.2f} {:>12.2f} {:>12.2f}  {}{}{}\n", figure.name, figure.unit,
                     figure.rate(), figure.items / *slowest, figure.items / *fastest, roof, sweep,
                     first_token);
}

nlohmann::json figure_entries(const Figure& figure) {
  nlohmann::json entries = nlohmann::json::array();
  for (size_t i = 0; i < figure.seconds.size(); ++i) {
    nlohmann::json entry = {{"name", figure.name},
                            {"run_name", figure.name},
                            {"run_type", "iteration"},
                            {"repetitions", figure.seconds.size()},
                            {"repetition_index", i},
                            {"iterations", 1},
                            {"real_time", figure.seconds[i] * 1e3},
                            {"cpu_time", figure.seconds[i] * 1e3},
                            {"time_unit", "ms"},
                            {figure.unit, figure.items / figure.seconds[i]}};
    if (figure.flop) entry["flop_per_second"] = *figure.flop / figure.seconds[i];
    if (figure.bytes) entry["bytes_per_second"] = *figure.bytes / figure.seconds[i];
    if (!figure.sweep_seconds.empty()) entry["sweep_time"] = figure.sweep_seconds[i] * 1e3;
    if (!figure.first_token_seconds.empty()) entry["first_token_time"] = figure.first_token_seconds[i] * 1e3;
    entries.push_back(std::move(entry));
  }
  return entries;
}

nlohmann::json figures_json(const std::vector<Figure>& figures, const MachinePeaks& peaks,
                            const nlohmann::json& context) {
  nlohmann::json benchmarks = nlohmann::json::array();
  for (const Figure& figure : figures) {
    for (nlohmann::json& entry : figure_entries(figure)) benchmarks.push_back(std::move(entry));
  }
  nlohmann::json with_peaks = context;
  with_peaks["fma_flop_per_second"] = peaks.flops;
  with_peaks["read_bytes_per_second"] = peaks.read_bandwidth;
  for (const auto& [compute, peak] : peaks.dot_products)
    with_peaks[fmt::format("{}_dot_operations_per_second", kernels::compute_name(compute))] = peak;
  return {{"context", std::move(with_peaks)}, {"benchmarks", std::move(benchmarks)}};
}

}  // namespace fathom::harness
