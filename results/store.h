// The results store: one SQLite file that remembers runs, samples and scores.
//
// One process writes: Store holds an exclusive lock on "<file>.lock" and the only read-write connection,
// which makes every commit and every checkpoint of the write-ahead log. Readers open the file read-only
// (results/schema.h) and never block the writer. A sample is stored whole or not at all, and is on disk when
// commit_samples returns. Format: results/schema.sql, explained in docs/results.md. Not thread-safe.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "results/file_system.h"
#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

/// A sample of the plan, by its place in RunRecord::tasks and TaskRecord::docs.
struct SamplePlace {
  size_t task = 0;
  size_t doc = 0;
  int64_t rep = 0;
};

/// Marks runs as interrupted that are still marked as running, when nobody can be writing to them.
void end_killed_runs(Database& database);

/// What a plan may take from the store.
enum class Start {
  kResume,  ///< continue an unfinished run of the plan, show a finished one, reuse equal samples of other
            ///< runs
  kFresh,   ///< a new run that computes everything
};

struct StartedRun {
  int64_t run_id = 0;
  std::string uuid;
  int64_t attempt = 1;
  bool resumed = false;  ///< the run was there before
  bool complete =
      false;  ///< and nothing is left to compute: no attempt was begun, only the stored run remains to show
  std::vector<SamplePlace> stored;  ///< samples that need no computing
  int64_t n_reused = 0;             ///< of those, copied from other runs now or earlier
};

class WriterLock;

class Store {
 public:
  /// Opens or creates the file, taking the lock. `app_version` is recorded when the schema is written. A run
  /// that is still marked as running was killed, since nobody else can be writing; it is marked as
  /// interrupted. Throws Error{kBadInput}: a second writer, a read-only file, another program's file, a newer
  /// schema.
  static Store open_for_writing(const std::filesystem::path& path, const std::string& app_version,
                                FileSystemProbe probe = &probe_file_system);
  ~Store();
  Store(Store&&) noexcept;
  Store& operator=(Store&&) = delete;

  /// True when a stored run has this plan and its weights may be these: begin_run can only tell once
  /// CheckpointRecord::files is filled.
  bool needs_hashes(const RunRecord& run) const;

  /// True when a stored run of this plan exists: whether begin_run takes it up depends on the weights'
  /// content.
  bool knows_plan(const RunRecord& run) const;

  /// Finds the run that the plan continues or makes a new one, with identities, plan and attempt in one
  /// transaction; nothing is computed before this returns. Samples and the functions below then refer to this
  /// run. Throws Error{kUsage} as decide_resume does, and Error{kBadInput} when the run to continue was
  /// judged by scorers of another version.
  StartedRun begin_run(const RunRecord& run, Start start = Start::kResume);

  /// Stores the samples in one transaction. A sample that is already there stays as it is, unless it was an
  /// error: that one is replaced. Scores of every scoring of the task must be present unless the sample is an
  /// error.
  void commit_samples(std::span<const SampleRecord> samples);

  /// Keeps the tick until the next commit_samples or finish_run stores it.
  void add_tick(const PerfTick& tick);

  /// A policy that later verdicts refer to by hash.
  void add_sandbox_policy(const Sha256Digest& sha256, const std::string& level,
                          const std::string& layers_json);

  /// Names the weights: the content of every file of CheckpointRecord::weights. Without it a run cannot be
  /// complete. Throws Error{kBadInput} when the files are not those that the run began with.
  void set_checkpoint_files(std::vector<FileIdentity> files);

  /// Computes and stores the metrics from the stored scores, in one transaction with the final status. `why`
  /// is the reason of kInterrupted and kFailed.
  void finish_run(RunStatus status, const std::string& why = {});

  Database& database();

 private:
  struct ActiveRun;
  Store(std::unique_ptr<WriterLock> lock, Database database);
  ActiveRun& active();
  StartedRun new_run(const RunRecord& run, Start start);
  StartedRun continue_run(const RunRecord& run, int64_t run_id, bool complete);
  void reuse_equal_samples(const RunRecord& run, const ActiveRun& active, StartedRun& started);
  void store_ticks();

  std::unique_ptr<WriterLock> lock_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<ActiveRun> run_;
};

}  // namespace fathom::results
