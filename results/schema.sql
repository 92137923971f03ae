-- fathom results database, schema version 2. Needs SQLite >= 3.37 (STRICT tables).
-- Times are Unix microseconds, UTC; hashes are SHA-256 as 32 bytes; JSON is canonical text (sorted keys).
-- docs/results.md explains the tables; a change here is a migration with a fixture of the version before.

CREATE TABLE schema_migration(
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  app_version TEXT NOT NULL,
  min_reader INTEGER NOT NULL,      -- oldest schema version whose program may still read this database
  applied_us INTEGER NOT NULL
) STRICT;

-- Identities: each row is named by a hash of its content, written once and shared by runs. ------------------

CREATE TABLE checkpoint(
  checkpoint_id INTEGER PRIMARY KEY,
  manifest_sha256 BLOB NOT NULL UNIQUE CHECK(length(manifest_sha256) = 32),  -- of the lines "path\0size\0sha256\n", sorted
  arch TEXT NOT NULL,
  dtype TEXT NOT NULL,              -- of the stored weights: bf16, fp32, int8 ...
  n_params INTEGER NOT NULL,
  n_active_params INTEGER NOT NULL,
  max_tokens INTEGER NOT NULL,
  config TEXT NOT NULL CHECK(json_valid(config))
) STRICT;

CREATE TABLE checkpoint_file(
  checkpoint_id INTEGER NOT NULL REFERENCES checkpoint ON DELETE CASCADE,
  path TEXT NOT NULL,               -- inside the checkpoint folder
  size_bytes INTEGER NOT NULL,
  sha256 BLOB NOT NULL CHECK(length(sha256) = 32),
  PRIMARY KEY(checkpoint_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokenizer(
  tokenizer_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),  -- of tokenizer.json
  vocab_size INTEGER NOT NULL
) STRICT;

CREATE TABLE build(                 -- the binary: recorded, never compared
  build_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),
  version TEXT NOT NULL,
  git_commit TEXT NOT NULL,
  git_dirty INTEGER NOT NULL CHECK(git_dirty IN (0, 1)),
  compiler TEXT NOT NULL
) STRICT;

CREATE TABLE machine(
  machine_id INTEGER PRIMARY KEY,
  description TEXT NOT NULL UNIQUE CHECK(json_valid(description))  -- host, cpu, cores, memory, devices
) STRICT;

CREATE TABLE dataset(
  dataset_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),
  name TEXT NOT NULL,
  split TEXT NOT NULL,
  n_rows INTEGER NOT NULL,
  source TEXT NOT NULL              -- the file's name, or where it came from
) STRICT;

CREATE TABLE doc(
  doc_id INTEGER PRIMARY KEY,
  dataset_id INTEGER NOT NULL REFERENCES dataset,
  ordinal INTEGER NOT NULL,         -- row number in the data file, from 0
  doc_key TEXT NOT NULL,            -- "HumanEval/3", or the row number
  sha256 BLOB NOT NULL CHECK(length(sha256) = 32),  -- of the row as the task reads it: content, cluster, target
  cluster TEXT NOT NULL,            -- items that share a text share a cluster; '' for none
  target TEXT NOT NULL,
  UNIQUE(dataset_id, ordinal, sha256)
) STRICT;

CREATE TABLE task(
  task_id INTEGER PRIMARY KEY,
  dataset_id INTEGER NOT NULL REFERENCES dataset,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  kind TEXT NOT NULL CHECK(kind IN ('choice', 'generate', 'code', 'needle')),
  n_shot INTEGER NOT NULL,
  spec_sha256 BLOB NOT NULL CHECK(length(spec_sha256) = 32),
  spec TEXT NOT NULL CHECK(json_valid(spec)),
  UNIQUE(name, version, dataset_id, n_shot, spec_sha256)
) STRICT;

CREATE TABLE text(                  -- long texts, each stored once
  text_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),
  content TEXT NOT NULL
) STRICT;

CREATE TABLE prompt(
  prompt_id INTEGER PRIMARY KEY,
  ids_sha256 BLOB NOT NULL CHECK(length(ids_sha256) = 32),    -- of the context ids in decimal, joined by ','
  text_sha256 BLOB NOT NULL CHECK(length(text_sha256) = 32),  -- of the prompt as UTF-8
  n_tokens INTEGER NOT NULL,
  text_id INTEGER REFERENCES text,  -- NULL for the long prompts that have a recipe
  recipe TEXT CHECK(recipe IS NULL OR json_valid(recipe)),
  UNIQUE(ids_sha256, text_sha256)
) STRICT;

-- Runs --------------------------------------------------------------------------------------------------------

CREATE TABLE run(
  run_id INTEGER PRIMARY KEY AUTOINCREMENT,     -- never used twice, even after the newest run is pruned
  run_uuid TEXT NOT NULL UNIQUE,
  plan_sha256 BLOB NOT NULL CHECK(length(plan_sha256) = 32),
  plan TEXT NOT NULL CHECK(json_valid(plan)),   -- all that fixes the results except the weights
  weights TEXT NOT NULL CHECK(json_valid(weights)),  -- the tensor files as found: path, size, mtime, inode
  checkpoint_id INTEGER REFERENCES checkpoint,  -- NULL until the tensor files are hashed
  tokenizer_id INTEGER NOT NULL REFERENCES tokenizer,
  model TEXT NOT NULL,                          -- the checkpoint folder's name
  model_path TEXT NOT NULL,
  train_step INTEGER,
  name TEXT NOT NULL,
  options TEXT NOT NULL CHECK(json_valid(options)),  -- the command line: recorded, never compared
  status TEXT NOT NULL CHECK(status IN ('running', 'interrupted', 'complete', 'failed')),
  why TEXT,                                     -- of an interruption or a failure
  created_us INTEGER NOT NULL,
  finished_us INTEGER
) STRICT;
CREATE INDEX run_by_plan ON run(plan_sha256);

CREATE TABLE run_attempt(           -- one row for each process that worked on the run
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  attempt INTEGER NOT NULL,         -- from 1
  build_id INTEGER NOT NULL REFERENCES build,
  machine_id INTEGER NOT NULL REFERENCES machine,
  n_threads INTEGER NOT NULL,
  device TEXT NOT NULL,
  started_us INTEGER NOT NULL,
  last_commit_us INTEGER NOT NULL,
  ended_us INTEGER,                 -- NULL while it runs, and for ever after a kill
  PRIMARY KEY(run_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_tag(
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY(run_id, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_task(
  run_task_id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  position INTEGER NOT NULL,        -- order in the run, from 0
  task_id INTEGER NOT NULL REFERENCES task,
  n_docs INTEGER NOT NULL,          -- planned: the first n_docs rows of the data set
  n_reps INTEGER NOT NULL,
  groups TEXT NOT NULL CHECK(json_valid(groups)),  -- names of the groups that this task counts into
  n_stored INTEGER NOT NULL DEFAULT 0,  -- samples in the store, kept up to date by every commit
  n_errors INTEGER NOT NULL DEFAULT 0,  -- of those, without an answer
  UNIQUE(run_id, position)
) STRICT;
CREATE INDEX run_task_by_task ON run_task(task_id, run_id);

-- Samples: a narrow row for scans, long columns in a table beside it --------------------------------------------

CREATE TABLE sample(
  sample_id INTEGER PRIMARY KEY,
  run_task_id INTEGER NOT NULL REFERENCES run_task ON DELETE CASCADE,
  doc_id INTEGER NOT NULL REFERENCES doc,
  rep INTEGER NOT NULL,
  attempt INTEGER NOT NULL,         -- run_attempt that computed it
  prompt_id INTEGER NOT NULL REFERENCES prompt,
  status INTEGER NOT NULL CHECK(status IN (0, 1)),        -- 0 answered, 1 error (sample_io.error says which)
  finish INTEGER NOT NULL CHECK(finish BETWEEN 0 AND 4),  -- 0 scored, 1 eos, 2 stop, 3 length, 4 none (error)
  flags INTEGER NOT NULL,           -- bits: scorers/score.h
  n_prompt INTEGER NOT NULL,        -- tokens fed, continuation excluded
  n_cached INTEGER NOT NULL,        -- of those, taken from the prefix cache
  n_truncated INTEGER NOT NULL,     -- tokens cut from the prompt's left
  n_output INTEGER NOT NULL,        -- generated tokens
  gold INTEGER,                     -- index of the right choice; NULL where there are no choices
  queue_us INTEGER, first_token_us INTEGER, total_us INTEGER,
  done_us INTEGER NOT NULL,
  reused_from INTEGER,              -- run that computed it, when it was not this one
  UNIQUE(run_task_id, doc_id, rep)
) STRICT;

CREATE TABLE sample_io(
  sample_id INTEGER PRIMARY KEY REFERENCES sample ON DELETE CASCADE,
  choice_logprobs BLOB,             -- little-endian f64: sum of log p of each choice
  choice_greedy BLOB,               -- bit i: choice i was the greedy continuation
  output TEXT,                      -- generated text after the stop cut
  output_ids BLOB,                  -- little-endian i32: all generated ids
  output_logprobs BLOB,             -- little-endian f32, where they were kept
  error TEXT
) STRICT;

CREATE TABLE scoring(               -- one scorer applied to one task of a run; rescoring adds rows
  scoring_id INTEGER PRIMARY KEY,
  run_task_id INTEGER NOT NULL REFERENCES run_task ON DELETE CASCADE,
  metric TEXT NOT NULL,
  filter TEXT NOT NULL,             -- 'none' where the answer is taken as it is
  scorer_version TEXT NOT NULL,
  kind TEXT NOT NULL CHECK(kind IN ('binary', 'bounded', 'real')),  -- values: 0 or 1; within [low, high]; any
  low REAL, high REAL,
  params TEXT NOT NULL CHECK(json_valid(params)),  -- {"k":[1,10]} asks for pass@k
  headline INTEGER NOT NULL CHECK(headline IN (0, 1)),
  created_us INTEGER NOT NULL,
  UNIQUE(run_task_id, metric, filter, scorer_version)
) STRICT;

CREATE TABLE score(
  scoring_id INTEGER NOT NULL REFERENCES scoring ON DELETE CASCADE,
  sample_id INTEGER NOT NULL REFERENCES sample ON DELETE CASCADE,
  value REAL,                       -- NULL exactly when outcome is 2
  outcome INTEGER NOT NULL CHECK(outcome BETWEEN 0 AND 2),  -- 0 scored, 1 no answer found, 2 error: no score
  answer TEXT NOT NULL,
  why TEXT,
  PRIMARY KEY(scoring_id, sample_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX score_by_sample ON score(sample_id);

CREATE TABLE sandbox_policy(
  policy_sha256 BLOB PRIMARY KEY CHECK(length(policy_sha256) = 32),
  level TEXT NOT NULL,
  layers TEXT NOT NULL CHECK(json_valid(layers))
) STRICT, WITHOUT ROWID;

CREATE TABLE sandbox_verdict(       -- one row an execution: a wall-only timeout is run once more
  sample_id INTEGER NOT NULL REFERENCES sample ON DELETE CASCADE,
  execution INTEGER NOT NULL,       -- from 0; the last one decides
  verdict TEXT NOT NULL,
  detail TEXT NOT NULL,
  signal INTEGER,
  wall_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL, peak_rss_bytes INTEGER NOT NULL,
  policy_sha256 BLOB NOT NULL REFERENCES sandbox_policy,
  PRIMARY KEY(sample_id, execution)
) STRICT, WITHOUT ROWID;

-- Aggregates ----------------------------------------------------------------------------------------------------

CREATE TABLE metric(                -- computed from score rows alone; can be recomputed at any time
  metric_id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  scope TEXT NOT NULL,              -- 'task:mmlu_anatomy' or 'group:mmlu'
  name TEXT NOT NULL,               -- acc, exact_match, pass@10
  filter TEXT NOT NULL,
  estimator TEXT NOT NULL,          -- mean (one task), micro, macro (groups)
  value REAL,                       -- NULL when no item has a score
  n INTEGER NOT NULL,               -- items with a score
  n_missing INTEGER NOT NULL,       -- planned items without one
  n_clusters INTEGER,
  se REAL, se_method TEXT NOT NULL,
  ci_low REAL, ci_high REAL, ci_level REAL NOT NULL, ci_method TEXT NOT NULL,
  lmeval_se REAL, lmeval_se_method TEXT,  -- what lm-evaluation-harness would print
  boot_draws INTEGER, boot_seed INTEGER,
  headline INTEGER NOT NULL CHECK(headline IN (0, 1)),
  position INTEGER NOT NULL,        -- order of display
  computed_us INTEGER NOT NULL,
  UNIQUE(run_id, scope, name, filter, estimator)
) STRICT;
CREATE INDEX metric_board ON metric(scope, name, filter, estimator);

-- Judging -------------------------------------------------------------------------------------------------------

CREATE TABLE baseline(              -- `fathom baseline set NAME RUN`
  name TEXT PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run,
  set_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE policy(                -- every policy that a gate has applied
  policy_sha256 BLOB PRIMARY KEY CHECK(length(policy_sha256) = 32),
  content TEXT NOT NULL CHECK(json_valid(content))
) STRICT, WITHOUT ROWID;

CREATE TABLE verdict(               -- what `fathom gate` said
  verdict_id INTEGER PRIMARY KEY,
  base_run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  cand_run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  policy_sha256 BLOB NOT NULL REFERENCES policy,
  verdict TEXT NOT NULL CHECK(verdict IN ('pass', 'regressed', 'inconclusive', 'not_comparable', 'incomplete')),
  report TEXT NOT NULL CHECK(json_valid(report)),
  created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX verdict_by_run ON verdict(cand_run_id);

-- Throughput ------------------------------------------------------------------------------------------------------

CREATE TABLE perf_tick(             -- at most one a second; counts since the tick before
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  rank INTEGER NOT NULL,
  t_us INTEGER NOT NULL,            -- end of the interval
  dt_us INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  n_samples INTEGER NOT NULL,       -- finished
  prefill_tokens INTEGER NOT NULL,  -- computed, cache hits excluded
  decode_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,   -- prompt tokens taken from the prefix cache
  n_running INTEGER NOT NULL, n_waiting INTEGER NOT NULL,       -- requests, at the end of the interval
  blocks_used INTEGER, blocks_total INTEGER,                    -- of the latent cache
  first_token_us BLOB, inter_token_us BLOB,                     -- histograms: results/latency_histogram.h
  rss_bytes INTEGER NOT NULL, device_bytes INTEGER,
  cpu_us INTEGER NOT NULL,          -- of the process
  PRIMARY KEY(run_id, rank, t_us)
) STRICT, WITHOUT ROWID;

-- Benchmarks ------------------------------------------------------------------------------------------------------

CREATE TABLE bench(                 -- one `fathom bench --store`
  bench_id INTEGER PRIMARY KEY,
  build_id INTEGER NOT NULL REFERENCES build,
  machine_id INTEGER NOT NULL REFERENCES machine,
  created_us INTEGER NOT NULL,
  command TEXT NOT NULL CHECK(json_valid(command)),  -- the command line, word by word
  context TEXT NOT NULL CHECK(json_valid(context)),  -- peaks of the machine, threads, model, numerics
  UNIQUE(created_us, machine_id, command)
) STRICT;

CREATE TABLE bench_figure(
  bench_id INTEGER NOT NULL REFERENCES bench ON DELETE CASCADE,
  position INTEGER NOT NULL,        -- order of display
  name TEXT NOT NULL,               -- prefill/512
  unit TEXT NOT NULL,               -- tok/s
  rate REAL NOT NULL,               -- of that unit, at the median of the repeats
  share REAL,                       -- of what limits it, where that is known
  share_of TEXT NOT NULL,           -- 'FMA', 'read bandwidth', 'read sweep' or ''
  repeats TEXT NOT NULL CHECK(json_valid(repeats)),  -- Google Benchmark's entries
  PRIMARY KEY(bench_id, position)
) STRICT, WITHOUT ROWID;
