#include "tests/e2e/small_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/engine/golden_weights.h"

namespace fathom::testing {

namespace fs = std::filesystem;

void write_small_run(const fs::path& folder, int n_questions) {
  fs::create_directories(folder / "model");
  fs::create_directories(folder / "data/mmlu/test");
  nlohmann::json config = engine::golden::config('A');
  config["vocab_size"] = 520;
  config["eos_token_id"] = nullptr;
  engine::golden::write_checkpoint(folder / "model", config, engine::golden::tensors(config, {}));
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy(fs::path(FATHOM_SOURCE_DIR "/tests/golden/tokenizer") / file, folder / "model" / file);
  }
  std::string questions;
  for (int i = 0; i < n_questions; ++i) {
    questions +=
        fmt::format("What is {} + {}?,{},{},{},{},{}\n", i, i / 3, i, i + i / 3, 7, 2 * i, "ABCD"[i % 4]);
  }
  write_file_atomically(folder / "data/mmlu/test/abstract_algebra_test.csv", questions);
}

std::vector<std::string> small_run_args(const fs::path& folder, const std::string& db,
                                        const std::vector<std::string>& more) {
  std::vector<std::string> args = {"run",           "mmlu_abstract_algebra",
                                   "--num-fewshot", "0",
                                   "--threads",     "1",
                                   "--max-tokens",  "512",
                                   "--model",       (folder / "model").string(),
                                   "--data",        (folder / "data").string(),
                                   "--db",          (folder / db).string()};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

void write_code_problem(const fs::path& folder) {
  const nlohmann::json problem = {{"task_id", "HumanEval/0"},
                                  {"prompt", "def one():\n"},
                                  {"canonical_solution", "    return 1\n"},
                                  {"test", "def check(candidate):\n    assert candidate() == 1\n"},
                                  {"entry_point", "one"}};
  fs::create_directories(folder / "data/humaneval");
  write_file_atomically(folder / "data/humaneval/HumanEval.jsonl.gz",
                        problem.dump() + "\n");  // plain text will do
}

std::vector<std::string> code_run_args(const fs::path& folder, const std::string& db,
                                       const std::vector<std::string>& more) {
  std::vector<std::string> args = small_run_args(folder, db, more);
  args[1] = "humaneval";
  const auto shots = std::find(args.begin(), args.end(), "--num-fewshot");
  args.erase(shots, shots + 2);
  args.insert(args.end(), {"--max-new-tokens", "4"});
  return args;
}

}  // namespace fathom::testing
