#include "harness/data/registry.h"

#include <fmt/ranges.h>

#include <string>

#include "base/error.h"

namespace fathom::harness {
namespace {

Dataset mmlu() {
  Dataset set;
  set.name = "mmlu";
  set.title = "Measuring Massive Multitask Language Understanding (Hendrycks et al. 2021)";
  set.licence = "MIT";
  set.rows = "14,042 test, 285 dev";
  set.source = "https://people.eecs.berkeley.edu/~hendrycks";
  // The archive itself has no published hash, and holds splits that no task uses; the hashes of the 114 files
  // that are taken from it decide.
  set.downloads = {{.name = "data.tar", .archive_folder = "data/"}};
  set.files.assign(pinned_mmlu_files().begin(), pinned_mmlu_files().end());
  set.import_folders = {"", "mmlu", "data", "mmlu/data"};
  set.markers = {"test"};
  set.max_download_bytes = int64_t{512} << 20;
  return set;
}

Dataset gsm8k() {
  Dataset set;
  set.name = "gsm8k";
  set.title = "Grade School Math 8K (Cobbe et al. 2021)";
  set.licence = "MIT";
  set.rows = "1,319 test, 7,473 train";
  set.source =
      "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/"
      "grade_school_math/data";
  set.downloads = {{.name = "train.jsonl"}, {.name = "test.jsonl"}};
  set.files = {
      {"train.jsonl", 4166206, "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465"},
      {"test.jsonl", 749738, "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14"},
  };
  set.import_folders = {"", "gsm8k", "grade_school_math/data", "data"};
  set.markers = {"test.jsonl"};
  set.max_download_bytes = int64_t{64} << 20;
  return set;
}

Dataset humaneval() {
  Dataset set;
  set.name = "humaneval";
  set.title = "HumanEval: evaluating language models trained on code (Chen et al. 2021)";
  set.licence = "MIT";
  set.rows = "164 problems";
  set.source = "https://raw.githubusercontent.com/openai/human-eval/master/data";
  set.downloads = {{.name = "HumanEval.jsonl.gz"}};
  set.files = {
      {"HumanEval.jsonl.gz", 44877, "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"}};
  set.import_folders = {"", "humaneval", "data", "human-eval/data"};
  set.markers = {"HumanEval.jsonl.gz", "HumanEval.jsonl"};
  set.max_download_bytes = int64_t{16} << 20;
  return set;
}

}  // namespace

const std::vector<Dataset>& all_datasets() {
  static const std::vector<Dataset> kDatasets = {gsm8k(), humaneval(), mmlu()};
  return kDatasets;
}

const Dataset& find_dataset(std::string_view name) {
  std::vector<std::string> known;
  for (const Dataset& set : all_datasets()) {
    if (set.name == name) return set;
    known.push_back(set.name);
  }
  throw Error(ErrorKind::kUsage,
              fmt::format("unknown data set \"{}\"; known are {}", name, fmt::join(known, ", ")));
}

}  // namespace fathom::harness
