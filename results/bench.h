// Stored benchmarks: what `fathom bench --store` keeps, each with its machine, build and command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

struct BenchFigureRecord {
  std::string name;             ///< "prefill/512"
  std::string unit;             ///< "tok/s"
  double rate = 0.0;            ///< at the median of the repeats
  std::optional<double> share;  ///< of `share_of`
  std::string share_of;
  std::string repeats_json;
};

struct BenchRecord {
  int64_t created_us = 0;
  BuildRecord build;
  std::string machine_json;
  std::string command_json;  ///< array of words
  std::string context_json;
  std::vector<BenchFigureRecord> figures;
};

/// Stores it in one transaction; returns its number.
int64_t store_bench(Database& database, const BenchRecord& bench);

struct StoredBench {
  int64_t bench_id = 0;
  BenchRecord bench;  ///< without build.sha256
};

/// Newest first.
std::vector<StoredBench> list_benches(const Database& database);

}  // namespace fathom::results
