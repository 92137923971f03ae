// A tiny checkpoint and a data set in MMLU's layout, made on the spot, and the command lines that put them
// together.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace fathom::testing {

/// Writes DIR/model and DIR/data with `n_questions` questions of mmlu_abstract_algebra.
void write_small_run(const std::filesystem::path& folder, int n_questions);

/// fathom run mmlu_abstract_algebra --db DIR/`db` ...
std::vector<std::string> small_run_args(const std::filesystem::path& folder, const std::string& db,
                                        const std::vector<std::string>& more = {});

/// One problem of HumanEval's form as DIR/data/humaneval, beside write_small_run's model. Its solution is "
/// return 1".
void write_code_problem(const std::filesystem::path& folder);

/// fathom run humaneval --db DIR/`db` ...
std::vector<std::string> code_run_args(const std::filesystem::path& folder, const std::string& db,
                                       const std::vector<std::string>& more);

}  // namespace fathom::testing
