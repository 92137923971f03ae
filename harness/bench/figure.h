// Figure: one row of `fathom bench`: what was done, how often, how fast, and how near to the machine's limit.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace fathom::harness {

/// What the machine can do at best (kernels/machine_peaks.h).
struct MachinePeaks {
  double flops = 0.0;           ///< fp32 FLOP/s
  double read_bandwidth = 0.0;  ///< bytes/s
  /// Operations/s of the dot products of --compute bf16 and int8; absent where the machine has none.
  std::map<kernels::Compute, double> dot_products = {};
};

struct Figure {
  std::string name;             ///< "prefill/512"
  std::string unit;             ///< "tok/s"
  double items = 0.0;           ///< of that unit, in one repeat
  std::vector<double> seconds;  ///< one a repeat
  std::optional<double> flop;   ///< of one repeat, where arithmetic is the limit
  std::optional<double> bytes;  ///< read in one repeat, where memory is the limit
  /// Beside flop, operations of one repeat that --compute bf16 or int8 does as dot products.
  std::optional<std::pair<kernels::Compute, double>> dot_products = {};
  /// Seconds of reading the same bytes and doing nothing else, one right after each repeat; empty where not
  /// measured.
  std::vector<double> sweep_seconds;
  /// From submission to the first token, the median over a repeat's requests; empty where not measured.
  std::vector<double> first_token_seconds;

  double rate() const;  ///< items a second at the median of the repeats
  /// Share of the machine's peak at the median, of the limit that is known; nothing when none is. Dot
  /// products and fp32 arithmetic together: the time of both at their peaks over the time taken.
  std::optional<double> share_of_peak(const MachinePeaks& peaks) const;
  /// What share_of_peak is a share of: "FMA", "int8 dot products and FMA", "read bandwidth" or "".
  std::string limit() const;
  /// Median over the pairs of sweep seconds / repeat seconds; nothing without sweeps.
  std::optional<double> share_of_sweep() const;
};

double median(std::vector<double> values);

/// "name  unit  median  (min - max)  roof" for a terminal; header() first.
std::string figure_header();
std::string figure_line(const Figure& figure, const MachinePeaks& peaks);

/// One of Google Benchmark's entries for each repeat.
nlohmann::json figure_entries(const Figure& figure);

/// The layout of Google Benchmark's JSON, which its tools/compare.py reads: context and one entry a repeat.
nlohmann::json figures_json(const std::vector<Figure>& figures, const MachinePeaks& peaks,
                            const nlohmann::json& context);

}  // namespace fathom::harness
