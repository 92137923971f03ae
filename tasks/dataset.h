// DataSource: where the data sets lie, and readers of their file formats.
//
// Every reader checks what it reads: a missing field, a bad label, a duplicate key or a file that is not what
// its name says is Error{kBadInput} naming file and line, what was expected and what was found. Nothing is
// repaired. Data sets are untrusted input.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "tasks/sample.h"

namespace fathom::tasks {

/// The folders that tasks read from. `root` holds one folder a data set (mmlu/, gsm8k/, humaneval/), or is
/// itself the folder of the one data set that is asked for.
struct DataSource {
  std::filesystem::path root;
  std::filesystem::path haystack;  ///< folder of .txt files for needle tasks; empty: the built-in generator
};

/// What a data set is, for the store: `sha256` covers the bytes of the file the questions come from.
struct DatasetIdentity {
  std::string name;    ///< "mmlu"
  std::string config;  ///< "abstract_algebra"; empty where the set has no parts
  std::string split;   ///< "test"
  Sha256Digest sha256{};
  int64_t n_rows = 0;
};

}  // namespace fathom::tasks
