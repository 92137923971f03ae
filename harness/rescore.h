// `fathom rescore`: judges the stored answers of a run again with the scorers of this fathom. No engine is
// loaded.
#pragma once

#include <filesystem>
#include <string>

#include "scorers/sandbox/options.h"

namespace fathom::harness {

struct RescorePlan {
  std::string run;  ///< as typed
  std::filesystem::path db;
  std::filesystem::path data_dir;      ///< empty: the data cache
  std::filesystem::path haystack_dir;  ///< of needle tasks, as the run had it
  std::string model_dir;  ///< whose tokenizer measures needle prompts; empty: where the run found it
  sandbox::SandboxOptions sandbox;
};

/// Stores new scores, prints what changed and the table. Throws Error: another data set than the run's, a
/// task that this fathom does not know, a sandbox that is needed and refuses. Nothing is then stored.
int rescore(const RescorePlan& plan);

}  // namespace fathom::harness
