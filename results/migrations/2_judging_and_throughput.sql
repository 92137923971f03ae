-- Schema 1 -> 2: reused samples, counters of stored samples, baselines, policies, verdicts, throughput.

ALTER TABLE run_task ADD COLUMN n_stored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_task ADD COLUMN n_errors INTEGER NOT NULL DEFAULT 0;
UPDATE run_task SET
  n_stored = (SELECT count(*) FROM sample s WHERE s.run_task_id = run_task.run_task_id),
  n_errors = (SELECT count(*) FROM sample s WHERE s.run_task_id = run_task.run_task_id AND s.status <> 0);

ALTER TABLE sample ADD COLUMN reused_from INTEGER;

CREATE TABLE baseline(
  name TEXT PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run,
  set_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE policy(
  policy_sha256 BLOB PRIMARY KEY CHECK(length(policy_sha256) = 32),
  content TEXT NOT NULL CHECK(json_valid(content))
) STRICT, WITHOUT ROWID;
CREATE TABLE verdict(
  verdict_id INTEGER PRIMARY KEY,
  base_run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  cand_run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  policy_sha256 BLOB NOT NULL REFERENCES policy,
  verdict TEXT NOT NULL CHECK(verdict IN ('pass', 'regressed', 'inconclusive', 'not_comparable', 'incomplete')),
  report TEXT NOT NULL CHECK(json_valid(report)),
  created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX verdict_by_run ON verdict(cand_run_id);
CREATE TABLE perf_tick(
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  rank INTEGER NOT NULL,
  t_us INTEGER NOT NULL,
  dt_us INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  n_samples INTEGER NOT NULL,
  prefill_tokens INTEGER NOT NULL,
  decode_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  n_running INTEGER NOT NULL, n_waiting INTEGER NOT NULL,
  blocks_used INTEGER, blocks_total INTEGER,
  first_token_us BLOB, inter_token_us BLOB,
  rss_bytes INTEGER NOT NULL, device_bytes INTEGER,
  cpu_us INTEGER NOT NULL,
  PRIMARY KEY(run_id, rank, t_us)
) STRICT, WITHOUT ROWID;
