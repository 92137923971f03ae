// What a run loop hands to the store: plain data, strings and numbers only, so that a database stays readable
// whatever becomes of the engine and the tasks. Texts named *_json are JSON; they are parsed when stored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "results/latency_histogram.h"

namespace fathom::results {

/// A tensor file as found on disk, before its content is known.
struct WeightFile {
  std::string path;  ///< inside the checkpoint folder
  int64_t size_bytes = 0;
  int64_t mtime_ns = 0;
  uint64_t inode = 0;
  bool operator==(const WeightFile&) const = default;
};

/// A file's content: one line of a checkpoint's manifest.
struct FileIdentity {
  std::string path;  ///< inside the checkpoint folder
  int64_t size_bytes = 0;
  Sha256Digest sha256{};
};

/// SHA-256 of the lines "path\0size\0sha256 in hex\n" in order of path: what makes two checkpoints the same.
Sha256Digest manifest_sha256(std::vector<FileIdentity> files);

struct CheckpointRecord {
  std::string model;  ///< the folder's name, shown in tables
  std::string path;
  std::optional<int64_t> train_step;
  std::string arch;   ///< config.json's architecture
  std::string dtype;  ///< of the stored weights: "bf16", "fp32", "int8"
  int64_t n_params = 0;
  int64_t n_active_params = 0;
  int64_t max_tokens = 0;
  std::string config_json;
  std::vector<WeightFile> weights;  ///< config.json among them; hashed while the run goes on
  std::vector<FileIdentity> files;  ///< their content, where it is known before the run; else empty
};

struct TokenizerRecord {
  Sha256Digest sha256{};  ///< of tokenizer.json
  int64_t vocab_size = 0;
};

struct BuildRecord {
  Sha256Digest sha256{};  ///< of the running binary
  std::string version;
  std::string git_commit;
  bool git_dirty = false;
  std::string compiler;
};

struct DocRecord {
  int64_t ordinal = 0;    ///< row number in the data file, from 0
  std::string key;        ///< "HumanEval/3", or the row number
  Sha256Digest sha256{};  ///< over everything the task reads of the row, key and target included
  std::string cluster;    ///< items that share a text share a cluster; empty for none
  std::string target;
};

struct DatasetRecord {
  Sha256Digest sha256{};  ///< of the data file, or of the generator's parameters
  std::string name;
  std::string split;
  int64_t n_rows = 0;
  std::string source;
};

enum class ScoreKind {
  kBinary,   ///< 0 or 1
  kBounded,  ///< within [low, high]
  kReal,
};

/// One scorer applied to one task.
struct ScoringRecord {
  std::string metric;  ///< lm-eval's word: "acc", "exact_match", "pass"
  std::string filter = "none";
  std::string scorer_version = "1";
  ScoreKind kind = ScoreKind::kBinary;
  double low = 0.0;  ///< of kBounded
  double high = 1.0;
  std::vector<int64_t> pass_k;  ///< k of pass@k over the repeats of a document; empty: the mean
  bool headline = false;        ///< the number to quote; one per task
};

struct TaskRecord {
  std::string name;
  std::string version;
  std::string kind;  ///< "choice", "generate", "code" or "needle"
  int64_t n_shot = 0;
  std::string spec_json;  ///< all that shapes prompts and answers: template hash, stops, lengths, sampling
  int64_t n_reps = 1;
  std::vector<std::string> groups;  ///< of this run that the task counts into, outermost first
  DatasetRecord dataset;
  std::vector<DocRecord> docs;  ///< planned ones: the first rows of the data set, in order
  std::vector<ScoringRecord> scorings;
};

/// An immutable plan of a run. What is compared on resume: tokenizer, weights, tasks, `bos`,
/// `parameters_json` and `numerics_json`. The rest is recorded.
struct RunRecord {
  std::string name;
  std::vector<std::string> tags;
  CheckpointRecord checkpoint;
  TokenizerRecord tokenizer;
  std::string bos;  ///< "on" or "off", as used
  std::string
      parameters_json;  ///< sampling, seed, chat template, truncation rule ...: all that can change a result
  std::string numerics_json;  ///< Engine::numerics_json()
  std::vector<TaskRecord> tasks;

  // Recorded, never compared: by the numerics contract these cannot change a result.
  std::string options_json;  ///< the command line
  std::string machine_json;
  BuildRecord build;
  int64_t n_threads = 1;
  std::string device = "cpu";
};

struct PromptRecord {
  Sha256Digest ids_sha256{};   ///< over the context ids in decimal joined by ","
  Sha256Digest text_sha256{};  ///< over the prompt as UTF-8
  int64_t n_tokens = 0;
  std::optional<std::string> text;         ///< absent when a recipe can rebuild it
  std::optional<std::string> recipe_json;  ///< of very long prompts: lengths, depth, positions
};

enum class SampleStatus { kAnswered = 0, kError = 1 };
enum class Finish { kScored = 0, kEos = 1, kStop = 2, kLength = 3, kNone = 4 };
enum class ScoreOutcome { kScored = 0, kNoAnswer = 1, kError = 2 };

std::string_view finish_name(Finish finish);          ///< "scored", "eos", "stop", "length", "none"
Finish finish_from_name(std::string_view name);       ///< the inverse; Error{kBadInput} for another name
std::string_view outcome_name(ScoreOutcome outcome);  ///< "scored", "no_answer", "error"
ScoreOutcome outcome_from_name(std::string_view name);
std::string_view score_kind_name(ScoreKind kind);  ///< "binary", "bounded", "real"
ScoreKind score_kind_from_name(std::string_view name);

struct ScoreRecord {
  size_t scoring = 0;           ///< index into TaskRecord::scorings
  std::optional<double> value;  ///< absent exactly when outcome is kError
  ScoreOutcome outcome = ScoreOutcome::kScored;
  std::string answer;  ///< what was extracted
  std::string why;     ///< explanation; may be empty
};

/// One execution of a program in the sandbox.
struct VerdictRecord {
  std::string verdict;  ///< "pass", "fail", "timeout", ...
  std::string detail;
  std::optional<int64_t> signal;
  int64_t wall_us = 0;
  int64_t cpu_us = 0;
  int64_t peak_rss_bytes = 0;
  Sha256Digest policy_sha256{};  ///< of a policy that Store::add_sandbox_policy stored
};

struct SampleRecord {
  size_t task = 0;  ///< index into RunRecord::tasks
  size_t doc = 0;   ///< index into TaskRecord::docs
  int64_t rep = 0;
  PromptRecord prompt;
  SampleStatus status = SampleStatus::kAnswered;
  std::string error;  ///< of kError: what went wrong
  Finish finish = Finish::kScored;
  uint32_t flags = 0;           ///< bits of scorers/score.h
  int64_t n_prompt = 0;         ///< tokens fed before the answer
  int64_t n_cached = 0;         ///< of those, taken from the prefix cache
  int64_t n_truncated = 0;      ///< tokens cut from the left to fit
  std::optional<int64_t> gold;  ///< index of the right choice, where there are choices

  std::vector<double> choice_logprobs;
  std::vector<bool> choice_greedy;
  std::string output;
  std::vector<int32_t> output_ids;
  std::vector<float> output_logprobs;  ///< may stay empty: eight bytes a token are not always worth it

  std::vector<ScoreRecord> scores;
  std::vector<VerdictRecord> verdicts;

  std::optional<int64_t> queue_us;
  std::optional<int64_t> first_token_us;
  std::optional<int64_t> total_us;
};

/// What happened in one second or more of a run: counts since the tick before, states at its end.
struct PerfTick {
  int64_t rank = 0;
  int64_t t_us = 0;  ///< Unix time at the end of the interval
  int64_t dt_us = 0;
  int64_t n_samples = 0;       ///< finished
  int64_t prefill_tokens = 0;  ///< computed, cache hits excluded
  int64_t decode_tokens = 0;
  int64_t cached_tokens = 0;  ///< prompt tokens taken from the prefix cache
  int64_t n_running = 0;      ///< requests
  int64_t n_waiting = 0;
  std::optional<int64_t> blocks_used;  ///< of the latent cache
  std::optional<int64_t> blocks_total;
  LatencyHistogram first_token;  ///< of requests that got their first token, from submission
  LatencyHistogram inter_token;  ///< gaps between generated tokens
  int64_t rss_bytes = 0;
  std::optional<int64_t> device_bytes;
  int64_t cpu_us = 0;  ///< CPU time of the process, all threads
};

enum class RunStatus { kRunning, kInterrupted, kComplete, kFailed };
std::string_view run_status_name(RunStatus status);
RunStatus run_status_from_name(std::string_view name);

/// One aggregate. An interval and a standard error always name their method; a value without them says why in
/// the method's place ("none: one item").
struct MetricRecord {
  std::string scope;  ///< "task:mmlu_anatomy" or "group:mmlu"
  std::string name;   ///< "acc", "pass@10"
  std::string filter;
  std::string estimator;  ///< "mean", "micro", "macro"
  std::optional<double> value;
  int64_t n = 0;
  int64_t n_missing = 0;
  std::optional<int64_t> n_clusters;
  std::optional<double> se;
  std::string se_method;
  std::optional<double> ci_low;
  std::optional<double> ci_high;
  double ci_level = 0.95;
  std::string ci_method;
  std::optional<double> lmeval_se;
  std::string lmeval_se_method;
  std::optional<int64_t> boot_draws;
  std::optional<int64_t> boot_seed;
  bool headline = false;
};

}  // namespace fathom::results
