// Taking the runs of another database into this one.
//
// A run is the same run wherever its UUID is, and everything it shares with others (checkpoints, documents,
// prompts) is found by its hash, so merging twice changes nothing. The other file is not trusted: it is
// copied first, and the copy must pass check_database.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "results/file_system.h"
#include "results/sqlite.h"

namespace fathom::results {

struct MergedRun {
  std::string uuid;
  int64_t their_id = 0;
  int64_t run_id = 0;  ///< here
  enum class What {
    kAdded,
    kContinued,  ///< it was here with fewer answers; its number stays the same
    kPresent,    ///< it was here with as many answers or more; nothing changed
    kRunning,    ///< left out: a process is still at work on it (one whose process was killed is taken)
  } what = What::kAdded;
};

/// One transaction: all runs or, after an error, none. `into` is read-write and its lock is held. A `from` of
/// an older schema is brought up to date in the copy. Throws Error{kBadInput} that names the rows: `from` is
/// damaged or breaks an invariant, or a run of the same UUID holds other answers.
std::vector<MergedRun> merge_runs(Database& into, const std::filesystem::path& from,
                                  const std::string& app_version, FileSystemProbe probe = &probe_file_system);

}  // namespace fathom::results
