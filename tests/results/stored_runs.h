// Databases of example runs for the tests of what is done with whole files.
#pragma once

#include <filesystem>

#include "results/store.h"
#include "tests/results/example_run.h"

namespace fathom::results {

/// A complete run of the plan in `path`; its number there.
inline int64_t store_complete(const std::filesystem::path& path, const RunRecord& run,
                              Start start = Start::kFresh) {
  Store store = Store::open_for_writing(path, "test");
  const StartedRun started = store.begin_run(run, start);
  store.commit_samples(example_samples(run));
  store.set_checkpoint_files(example_files());
  store.finish_run(RunStatus::kComplete);
  return started.run_id;
}

/// The same, interrupted after `n` samples.
inline int64_t store_interrupted(const std::filesystem::path& path, const RunRecord& run, size_t n,
                                 Start start = Start::kFresh) {
  Store store = Store::open_for_writing(path, "test");
  const StartedRun started = store.begin_run(run, start);
  std::vector<SampleRecord> samples = example_samples(run);
  samples.resize(n);
  store.commit_samples(samples);
  store.finish_run(RunStatus::kInterrupted, "SIGINT");
  return started.run_id;
}

/// Changes a database behind the store's back.
inline void tamper(const std::filesystem::path& path, const std::string& sql) {
  Database database(path, Database::Access::kReadWrite);
  database.execute("PRAGMA foreign_keys = OFF; " + sql);
}

/// A run with other answers: another name and other parameters.
inline RunRecord another_run() {
  RunRecord run = example_run();
  run.name = "another";
  run.parameters_json = R"({"seed":1})";
  return run;
}

}  // namespace fathom::results
