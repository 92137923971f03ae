-- A database of schema version 2: schema_1.sql, migrated by the fathom of that version. Input of the migration test.
PRAGMA application_id = 1179928653;
PRAGMA user_version = 2;
PRAGMA foreign_keys = OFF;
BEGIN TRANSACTION;
CREATE TABLE baseline(
  name TEXT PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run,
  set_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE build(                 -- the binary: recorded, never compared
  build_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),
  version TEXT NOT NULL,
  git_commit TEXT NOT NULL,
  git_dirty INTEGER NOT NULL CHECK(git_dirty IN (0, 1)),
  compiler TEXT NOT NULL
) STRICT;
INSERT INTO "build" VALUES(1,X'9A3A45D01531A20E89AC6AE10B0B0BEB0492ACD7216A368AA062D1A5FECAF9CD','0.1.0','abc',0,'g++');
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
INSERT INTO "checkpoint" VALUES(1,X'5C765EE089A474CC2B0D69E2D3364B58DD1DAB0CE7545AC0FB3B611097A7781D','DeepseekV2ForCausalLM','bf16',1000,300,2048,'{"hidden_size":64}');
CREATE TABLE checkpoint_file(
  checkpoint_id INTEGER NOT NULL REFERENCES checkpoint ON DELETE CASCADE,
  path TEXT NOT NULL,               -- inside the checkpoint folder
  size_bytes INTEGER NOT NULL,
  sha256 BLOB NOT NULL CHECK(length(sha256) = 32),
  PRIMARY KEY(checkpoint_id, path)
) STRICT, WITHOUT ROWID;
INSERT INTO "checkpoint_file" VALUES(1,'model.safetensors',2000,X'9A129038D9A00AED0CF6A7EA059CA50A813449061AB87848CF1A13EAFDF33B2C');
CREATE TABLE dataset(
  dataset_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),
  name TEXT NOT NULL,
  split TEXT NOT NULL,
  n_rows INTEGER NOT NULL,
  source TEXT NOT NULL              -- the file's name, or where it came from
) STRICT;
INSERT INTO "dataset" VALUES(1,X'E1120D237C72699579F469E93691B87301560B49AF5620970310BDB51D3880FF','anatomy','test',4,'anatomy.csv');
INSERT INTO "dataset" VALUES(2,X'7E681B8AB530019620F0F65B200E50B4F83E0D2C360F1C2A6F837CE528B5B2B1','botany','test',6,'botany.csv');
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
INSERT INTO "doc" VALUES(1,1,0,'0',X'8771785D2231ED2ED3194525F23B7426BA1A844AC95E733D072BCFB323E697E5','','A');
INSERT INTO "doc" VALUES(2,1,1,'1',X'BB71C98F1399E757E32B7F24D0D181A8D332FC65879174FEA57449DEECE5CEDC','','B');
INSERT INTO "doc" VALUES(3,1,2,'2',X'8352625E761DC0F5788A55C77683FBDD1739E72839EDA70EEEE474B8F1C25EF3','','C');
INSERT INTO "doc" VALUES(4,1,3,'3',X'049FA588FFD025E943C89C2BF957E9B6DBF56AEFCDC80D8F541956A97847C4C4','','D');
INSERT INTO "doc" VALUES(5,2,0,'0',X'D2F47CB0409803AB1E4D4495DDC17FE4A40613ADF4B9248C288C08EEBC35312D','','A');
INSERT INTO "doc" VALUES(6,2,1,'1',X'8B8B03294663F047D06428B8950BAA109DF46CCDB77A9D8A662AD2A238EB839B','','B');
INSERT INTO "doc" VALUES(7,2,2,'2',X'0E6C36CB53277AAE154DF3774FFC7C9015E900A3391DF648ABE9AEC3BB8304EB','','C');
INSERT INTO "doc" VALUES(8,2,3,'3',X'E2DF97A11560545BF09414B5E83FBE7067FAB3E6BE9C67EA2ED1A8FA5CF6A29F','','D');
INSERT INTO "doc" VALUES(9,2,4,'4',X'47B6FEE730D9945B19F5B541F822959E2461C4C99A2F2E13662F6484DD3316B7','','A');
INSERT INTO "doc" VALUES(10,2,5,'5',X'E879ABD9E9507B7F8666AD859EFC68768FC203473CB1AC32C543B60A4E445DAD','','B');
CREATE TABLE machine(
  machine_id INTEGER PRIMARY KEY,
  description TEXT NOT NULL UNIQUE CHECK(json_valid(description))  -- host, cpu, cores, memory, devices
) STRICT;
INSERT INTO "machine" VALUES(1,'{"cpu":"test"}');
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
INSERT INTO "metric" VALUES(1,1,'group:exam','acc','none','micro',0.3,10,0,NULL,0.161245154965971,'stratified',9.64304038713488659295e-02,6.32495111477748506167e-01,0.95,'wilson (effective n)',1.61374306091975699972e-01,'lm-eval pooled_sample_stderr',NULL,NULL,1,0,1795580903853772);
INSERT INTO "metric" VALUES(2,1,'group:exam','acc','none','macro',2.91666666666666629659e-01,10,0,NULL,1.63511807252904872722e-01,'stratified',8.99439012239924284841e-02,6.31745814165520891414e-01,0.95,'wilson (effective n)',NULL,NULL,NULL,NULL,0,1,1795580903853793);
INSERT INTO "metric" VALUES(3,1,'group:exam','acc_norm','none','micro',0.3,10,0,NULL,0.161245154965971,'stratified',9.64304038713488659295e-02,6.32495111477748506167e-01,0.95,'wilson (effective n)',1.61374306091975699972e-01,'lm-eval pooled_sample_stderr',NULL,NULL,0,2,1795580903853799);
INSERT INTO "metric" VALUES(4,1,'group:exam','acc_norm','none','macro',2.91666666666666629659e-01,10,0,NULL,1.63511807252904872722e-01,'stratified',8.99439012239924284841e-02,6.31745814165520891414e-01,0.95,'wilson (effective n)',NULL,NULL,NULL,NULL,0,3,1795580903853804);
INSERT INTO "metric" VALUES(5,1,'task:anatomy','acc','none','mean',0.25,4,0,NULL,0.25,'sample (n-1)',4.55872608097005749261e-02,6.99358157417598103045e-01,0.95,'wilson',0.25,'lm-eval mean_stderr',NULL,NULL,1,4,1795580903853807);
INSERT INTO "metric" VALUES(6,1,'task:anatomy','acc_norm','none','mean',0.25,4,0,NULL,0.25,'sample (n-1)',4.55872608097005749261e-02,6.99358157417598103045e-01,0.95,'wilson',0.25,'lm-eval mean_stderr',NULL,NULL,0,5,1795580903853811);
INSERT INTO "metric" VALUES(7,1,'task:botany','acc','none','mean',3.33333333333333314829e-01,6,0,NULL,2.10818510677891979288e-01,'sample (n-1)',9.67714111057804277082e-02,7.00006684861607886283e-01,0.95,'wilson',2.10818510677891979288e-01,'lm-eval mean_stderr',NULL,NULL,1,6,1795580903853814);
INSERT INTO "metric" VALUES(8,1,'task:botany','acc_norm','none','mean',3.33333333333333314829e-01,6,0,NULL,2.10818510677891979288e-01,'sample (n-1)',9.67714111057804277082e-02,7.00006684861607886283e-01,0.95,'wilson',2.10818510677891979288e-01,'lm-eval mean_stderr',NULL,NULL,0,7,1795580903853818);
INSERT INTO "metric" VALUES(9,2,'group:exam','acc','none','micro',0.5,2,8,NULL,0.5,'stratified',5.46207555288520107961e-02,9.4537924447114807247e-01,0.95,'wilson (effective n)',NULL,NULL,NULL,NULL,1,0,1795580903938317);
INSERT INTO "metric" VALUES(10,2,'group:exam','acc','none','macro',NULL,2,8,NULL,NULL,'none',NULL,NULL,0.95,'none',NULL,NULL,NULL,NULL,0,1,1795580903938328);
INSERT INTO "metric" VALUES(11,2,'group:exam','acc_norm','none','micro',0.5,2,8,NULL,0.5,'stratified',5.46207555288520107961e-02,9.4537924447114807247e-01,0.95,'wilson (effective n)',NULL,NULL,NULL,NULL,0,2,1795580903938334);
INSERT INTO "metric" VALUES(12,2,'group:exam','acc_norm','none','macro',NULL,2,8,NULL,NULL,'none',NULL,NULL,0.95,'none',NULL,NULL,NULL,NULL,0,3,1795580903938339);
INSERT INTO "metric" VALUES(13,2,'task:anatomy','acc','none','mean',0.5,2,2,NULL,0.5,'sample (n-1)',9.45312057342307110463e-02,9.05468794265769316709e-01,0.95,'wilson',0.5,'lm-eval mean_stderr',NULL,NULL,1,4,1795580903938343);
INSERT INTO "metric" VALUES(14,2,'task:anatomy','acc_norm','none','mean',0.5,2,2,NULL,0.5,'sample (n-1)',9.45312057342307110463e-02,9.05468794265769316709e-01,0.95,'wilson',0.5,'lm-eval mean_stderr',NULL,NULL,0,5,1795580903938348);
INSERT INTO "metric" VALUES(15,2,'task:botany','acc','none','mean',NULL,0,6,NULL,NULL,'none',NULL,NULL,0.95,'none',NULL,NULL,NULL,NULL,1,6,1795580903938352);
INSERT INTO "metric" VALUES(16,2,'task:botany','acc_norm','none','mean',NULL,0,6,NULL,NULL,'none',NULL,NULL,0.95,'none',NULL,NULL,NULL,NULL,0,7,1795580903938356);
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
CREATE TABLE policy(
  policy_sha256 BLOB PRIMARY KEY CHECK(length(policy_sha256) = 32),
  content TEXT NOT NULL CHECK(json_valid(content))
) STRICT, WITHOUT ROWID;
CREATE TABLE prompt(
  prompt_id INTEGER PRIMARY KEY,
  ids_sha256 BLOB NOT NULL CHECK(length(ids_sha256) = 32),    -- of the context ids in decimal, joined by ','
  text_sha256 BLOB NOT NULL CHECK(length(text_sha256) = 32),  -- of the prompt as UTF-8
  n_tokens INTEGER NOT NULL,
  text_id INTEGER REFERENCES text,  -- NULL for the long prompts that have a recipe
  recipe TEXT CHECK(recipe IS NULL OR json_valid(recipe)),
  UNIQUE(ids_sha256, text_sha256)
) STRICT;
INSERT INTO "prompt" VALUES(1,X'A8DF3EFF2ACA65D010A1E73A4061B75E5448F2B51AB317DD2C9AA52CD5B6652B',X'6E0B49ADF51647C9C54DA912AFAA1EA843A6D9383B0B3333719DA7B3616C71C3',12,1,NULL);
INSERT INTO "prompt" VALUES(2,X'32DC48EA6EFD6DA3F5960842A9E60F91E86DCB79FAF1CEF5B568CFF972DBEA0B',X'61B9088EC7538B626F0CD9A3072CFB9CC651F2631545F46BFF2E20F3F1FC736A',12,2,NULL);
INSERT INTO "prompt" VALUES(3,X'8794A56E083DB3D16721D2AB6CFF6E99B047CB8FA0FA4F8919057D350E1A3B35',X'EC07DF76B2F59700078B033BD95297A8487A222C27243621D67F9EB390B82A36',12,3,NULL);
INSERT INTO "prompt" VALUES(4,X'8DB8B5FDD50B4E9A499FB9A27D21CBD16A5D18E39A3197192B34B851427997B5',X'188216226C62FB42BFE14AFC5F80830BC128FD219631F78C0C635441B124328A',12,4,NULL);
INSERT INTO "prompt" VALUES(5,X'3029E47DAEB973D30F4847DD137E6BA315183FF9D2FFB6D98F3540D8489B4796',X'BD1685A7D5740387CF76C600A5C01A5C4D79D2F959D26323529E1D881DCAD615',12,5,NULL);
INSERT INTO "prompt" VALUES(6,X'E650DDE053FBF03D99C17C1E2165EED71E2F62AACC9DD0B877B21AEFCCB8DE4B',X'3C3934C66373DD60101B5992FCA6E5897E0401C84B700BF9C3F0970284CF8EC2',12,6,NULL);
INSERT INTO "prompt" VALUES(7,X'63D21AE59D6BD952DE0F655368290377F5B1455158D80D2C1442B09C9E1743B2',X'897697D3A21B08F75CB39657B55EA70EB80170E5E993A433C219A5DC23E7DA12',12,7,NULL);
INSERT INTO "prompt" VALUES(8,X'DDC230E87B441ADD39D0FCD448DDBC3C68F4478333C03B7F45C52F7D272538E8',X'C66CA72F5B4D02F7B4F5E0A7C59B28ECA8FF680CA03A9AAC4CFD35942A6BDBEB',12,8,NULL);
INSERT INTO "prompt" VALUES(9,X'58609FEDB1956362C62985FF2E4786F9CCEDE625781B3CE67DFEFF773D514E0A',X'3420FE57593D08087926AA9A64B67DE369AB85F7767EDB40FD36609F94F10DFD',12,9,NULL);
INSERT INTO "prompt" VALUES(10,X'BA25BE1A1EFCDE0105E1DC23A17736037EB93FC1F63397A5903A91333994EF3D',X'BE693182D40FF9594F83874BC213FB1DFF3A4B4FB9F09C185CB9D1CFE60E171E',12,10,NULL);
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
INSERT INTO "run" VALUES(1,'959ef446-d04d-4ac8-9b9b-83805b698db8',X'93F2BE4B18E3FBF09BD729589B5EB073D7E859F7D15803C61C07DECC93243371','{"bos":"on","config":{"hidden_size":64},"numerics":{"dtype":"bf16","kernels":"scalar"},"parameters":{"seed":0},"tasks":[{"dataset":"e1120d237c72699579f469e93691b87301560b49af5620970310bdb51d3880ff","docs":"8abafdaad42a889edc75dfd044fda81de9827733399de7980f62b0ce4a836154","kind":"choice","n_docs":4,"n_reps":1,"n_shot":5,"name":"anatomy","spec":{"template":"x"},"version":"1"},{"dataset":"7e681b8ab530019620f0f65b200e50b4f83e0d2c360f1c2a6f837ce528b5b2b1","docs":"12cf498ee217270b64bf3d6b494f153331ead7a15c37567f2d727870289b3181","kind":"choice","n_docs":6,"n_reps":1,"n_shot":5,"name":"botany","spec":{"template":"x"},"version":"1"}],"tokenizer":"5f97e3774c51edd1d63706c2ec3826c564a067794770cdab0f8c4797971cacf9"}','[{"inode":9,"mtime_ns":7,"path":"model.safetensors","size_bytes":2000}]',1,1,'tiny','models/tiny',NULL,'example','["run","exam"]','complete',NULL,1795580903806086,1795580903853823);
INSERT INTO "run" VALUES(2,'ffac8b1e-20ec-4365-9bf6-47399799c52a',X'3500A0F30D01D53B2740583299EDEDE16F51BFD34B957B8410AC011B26BD9D03','{"bos":"on","config":{"hidden_size":64},"numerics":{"dtype":"bf16","kernels":"scalar"},"parameters":{"seed":1},"tasks":[{"dataset":"e1120d237c72699579f469e93691b87301560b49af5620970310bdb51d3880ff","docs":"8abafdaad42a889edc75dfd044fda81de9827733399de7980f62b0ce4a836154","kind":"choice","n_docs":4,"n_reps":1,"n_shot":5,"name":"anatomy","spec":{"template":"x"},"version":"1"},{"dataset":"7e681b8ab530019620f0f65b200e50b4f83e0d2c360f1c2a6f837ce528b5b2b1","docs":"12cf498ee217270b64bf3d6b494f153331ead7a15c37567f2d727870289b3181","kind":"choice","n_docs":6,"n_reps":1,"n_shot":5,"name":"botany","spec":{"template":"x"},"version":"1"}],"tokenizer":"5f97e3774c51edd1d63706c2ec3826c564a067794770cdab0f8c4797971cacf9"}','[{"inode":9,"mtime_ns":7,"path":"model.safetensors","size_bytes":2000}]',NULL,1,'tiny','models/tiny',NULL,'cut short','["run","exam"]','interrupted','SIGINT',1795580903893524,1795580903938362);
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
INSERT INTO "run_attempt" VALUES(1,1,1,1,1,'cpu',1795580903806200,1795580903835017,1795580903853823);
INSERT INTO "run_attempt" VALUES(2,1,1,1,1,'cpu',1795580903893642,1795580903933495,1795580903938362);
CREATE TABLE run_tag(
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY(run_id, tag)
) STRICT, WITHOUT ROWID;
INSERT INTO "run_tag" VALUES(1,'nightly');
INSERT INTO "run_tag" VALUES(2,'nightly');
CREATE TABLE run_task(
  run_task_id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  position INTEGER NOT NULL,        -- order in the run, from 0
  task_id INTEGER NOT NULL REFERENCES task,
  n_docs INTEGER NOT NULL,          -- planned: the first n_docs rows of the data set
  n_reps INTEGER NOT NULL,
  groups TEXT NOT NULL CHECK(json_valid(groups)), n_stored INTEGER NOT NULL DEFAULT 0, n_errors INTEGER NOT NULL DEFAULT 0,  -- names of the groups that this task counts into
  UNIQUE(run_id, position)
) STRICT;
INSERT INTO "run_task" VALUES(1,1,0,1,4,1,'["exam"]',4,0);
INSERT INTO "run_task" VALUES(2,1,1,2,6,1,'["exam"]',6,0);
INSERT INTO "run_task" VALUES(3,2,0,1,4,1,'["exam"]',3,1);
INSERT INTO "run_task" VALUES(4,2,1,2,6,1,'["exam"]',0,0);
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
  done_us INTEGER NOT NULL, reused_from INTEGER,
  UNIQUE(run_task_id, doc_id, rep)
) STRICT;
INSERT INTO "sample" VALUES(1,1,1,0,1,1,0,0,0,12,8,0,0,0,NULL,NULL,1000,1795580903834632,NULL);
INSERT INTO "sample" VALUES(2,1,2,0,1,2,0,0,0,12,8,0,0,1,NULL,NULL,1000,1795580903834739,NULL);
INSERT INTO "sample" VALUES(3,1,3,0,1,3,0,0,0,12,8,0,0,2,NULL,NULL,1000,1795580903834772,NULL);
INSERT INTO "sample" VALUES(4,1,4,0,1,4,0,0,1,12,8,0,0,3,NULL,NULL,1000,1795580903834797,NULL);
INSERT INTO "sample" VALUES(5,2,5,0,1,5,0,0,0,12,8,0,0,0,NULL,NULL,1000,1795580903834820,NULL);
INSERT INTO "sample" VALUES(6,2,6,0,1,6,0,0,0,12,8,0,0,1,NULL,NULL,1000,1795580903834844,NULL);
INSERT INTO "sample" VALUES(7,2,7,0,1,7,0,0,0,12,8,0,0,2,NULL,NULL,1000,1795580903834867,NULL);
INSERT INTO "sample" VALUES(8,2,8,0,1,8,0,0,1,12,8,0,0,3,NULL,NULL,1000,1795580903834889,NULL);
INSERT INTO "sample" VALUES(9,2,9,0,1,9,0,0,0,12,8,0,0,0,NULL,NULL,1000,1795580903834911,NULL);
INSERT INTO "sample" VALUES(10,2,10,0,1,10,0,0,0,12,8,0,0,1,NULL,NULL,1000,1795580903834934,NULL);
INSERT INTO "sample" VALUES(11,3,1,0,1,1,0,0,0,12,8,0,0,0,NULL,NULL,1000,1795580903933335,NULL);
INSERT INTO "sample" VALUES(12,3,2,0,1,2,1,4,0,12,8,0,0,1,NULL,NULL,1000,1795580903933396,NULL);
INSERT INTO "sample" VALUES(13,3,3,0,1,3,0,0,0,12,8,0,0,2,NULL,NULL,1000,1795580903933412,NULL);
CREATE TABLE sample_io(
  sample_id INTEGER PRIMARY KEY REFERENCES sample ON DELETE CASCADE,
  choice_logprobs BLOB,             -- little-endian f64: sum of log p of each choice
  choice_greedy BLOB,               -- bit i: choice i was the greedy continuation
  output TEXT,                      -- generated text after the stop cut
  output_ids BLOB,                  -- little-endian i32: all generated ids
  output_logprobs BLOB,             -- little-endian f32, where they were kept
  error TEXT
) STRICT;
INSERT INTO "sample_io" VALUES(1,X'59F64637DD9ABFBF000000000000F8BF00000000000004C00000000000000CC0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(2,X'59F64637DD9ABFBF000000000000F8BF00000000000004C000000000000012C0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(3,X'59F64637DD9ABFBF000000000000F8BF00000000000004C000000000000016C0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(4,X'59F64637DD9ABFBF000000000000F8BF00000000000004C00000000000001AC0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(5,X'59F64637DD9ABFBF000000000000F8BF00000000000004C00000000000000CC0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(6,X'59F64637DD9ABFBF000000000000F8BF00000000000004C000000000000012C0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(7,X'59F64637DD9ABFBF000000000000F8BF00000000000004C000000000000016C0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(8,X'59F64637DD9ABFBF000000000000F8BF00000000000004C00000000000001AC0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(9,X'59F64637DD9ABFBF000000000000F8BF00000000000004C00000000000001EC0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(10,X'59F64637DD9ABFBF000000000000F8BF00000000000004C000000000000021C0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(11,X'59F64637DD9ABFBF000000000000F8BF00000000000004C00000000000000CC0',X'01',NULL,NULL,NULL,NULL);
INSERT INTO "sample_io" VALUES(12,X'59F64637DD9ABFBF000000000000F8BF00000000000004C000000000000012C0',X'01',NULL,NULL,NULL,'too long');
INSERT INTO "sample_io" VALUES(13,X'59F64637DD9ABFBF000000000000F8BF00000000000004C000000000000016C0',X'01',NULL,NULL,NULL,NULL);
CREATE TABLE sandbox_policy(
  policy_sha256 BLOB PRIMARY KEY CHECK(length(policy_sha256) = 32),
  level TEXT NOT NULL,
  layers TEXT NOT NULL CHECK(json_valid(layers))
) STRICT, WITHOUT ROWID;
INSERT INTO "sandbox_policy" VALUES(X'823412D1EACB67956220E532959F0104603057C88704863CA38E7CD188FDA812','full','["seccomp"]');
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
INSERT INTO "sandbox_verdict" VALUES(13,0,'timeout','wall',9,0,0,0,X'823412D1EACB67956220E532959F0104603057C88704863CA38E7CD188FDA812');
CREATE TABLE schema_migration(
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  app_version TEXT NOT NULL,
  min_reader INTEGER NOT NULL,      -- oldest schema version whose program may still read this database
  applied_us INTEGER NOT NULL
) STRICT;
INSERT INTO "schema_migration" VALUES(1,'first version','0.1.0',1,1795580903725294);
INSERT INTO "schema_migration" VALUES(2,'judging and throughput','0.1.0',1,1795725895127127);
CREATE TABLE score(
  scoring_id INTEGER NOT NULL REFERENCES scoring ON DELETE CASCADE,
  sample_id INTEGER NOT NULL REFERENCES sample ON DELETE CASCADE,
  value REAL,                       -- NULL exactly when outcome is 2
  outcome INTEGER NOT NULL CHECK(outcome BETWEEN 0 AND 2),  -- 0 scored, 1 no answer found, 2 error: no score
  answer TEXT NOT NULL,
  why TEXT,
  PRIMARY KEY(scoring_id, sample_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "score" VALUES(1,1,1.0,0,'A',NULL);
INSERT INTO "score" VALUES(1,2,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(1,3,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(1,4,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(2,1,1.0,0,'A',NULL);
INSERT INTO "score" VALUES(2,2,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(2,3,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(2,4,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(3,5,1.0,0,'A',NULL);
INSERT INTO "score" VALUES(3,6,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(3,7,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(3,8,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(3,9,1.0,0,'A',NULL);
INSERT INTO "score" VALUES(3,10,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(4,5,1.0,0,'A',NULL);
INSERT INTO "score" VALUES(4,6,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(4,7,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(4,8,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(4,9,1.0,0,'A',NULL);
INSERT INTO "score" VALUES(4,10,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(5,11,1.0,0,'A',NULL);
INSERT INTO "score" VALUES(5,13,0.0,0,'A',NULL);
INSERT INTO "score" VALUES(6,11,1.0,0,'A',NULL);
INSERT INTO "score" VALUES(6,13,0.0,0,'A',NULL);
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
INSERT INTO "scoring" VALUES(1,1,'acc','none','1','binary',0.0,1.0,'{}',1,1795580903806522);
INSERT INTO "scoring" VALUES(2,1,'acc_norm','none','1','binary',0.0,1.0,'{}',0,1795580903806558);
INSERT INTO "scoring" VALUES(3,2,'acc','none','1','bounded',0.0,1.0,'{}',1,1795580903806794);
INSERT INTO "scoring" VALUES(4,2,'acc_norm','none','1','binary',0.0,1.0,'{}',0,1795580903806815);
INSERT INTO "scoring" VALUES(5,3,'acc','none','1','binary',0.0,1.0,'{}',1,1795580903893912);
INSERT INTO "scoring" VALUES(6,3,'acc_norm','none','1','binary',0.0,1.0,'{}',0,1795580903893963);
INSERT INTO "scoring" VALUES(7,4,'acc','none','1','bounded',0.0,1.0,'{}',1,1795580903894163);
INSERT INTO "scoring" VALUES(8,4,'acc_norm','none','1','binary',0.0,1.0,'{}',0,1795580903894185);
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
INSERT INTO "task" VALUES(1,1,'anatomy','1','choice',5,X'4AB4A93F40EAF63330E4DA3D3AE75FAE14614236D24F22B4EB1D888684B1CDA8','{"template":"x"}');
INSERT INTO "task" VALUES(2,2,'botany','1','choice',5,X'4AB4A93F40EAF63330E4DA3D3AE75FAE14614236D24F22B4EB1D888684B1CDA8','{"template":"x"}');
CREATE TABLE text(                  -- long texts, each stored once
  text_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),
  content TEXT NOT NULL
) STRICT;
INSERT INTO "text" VALUES(1,X'6E0B49ADF51647C9C54DA912AFAA1EA843A6D9383B0B3333719DA7B3616C71C3','anatomy question 0');
INSERT INTO "text" VALUES(2,X'61B9088EC7538B626F0CD9A3072CFB9CC651F2631545F46BFF2E20F3F1FC736A','anatomy question 1');
INSERT INTO "text" VALUES(3,X'EC07DF76B2F59700078B033BD95297A8487A222C27243621D67F9EB390B82A36','anatomy question 2');
INSERT INTO "text" VALUES(4,X'188216226C62FB42BFE14AFC5F80830BC128FD219631F78C0C635441B124328A','anatomy question 3');
INSERT INTO "text" VALUES(5,X'BD1685A7D5740387CF76C600A5C01A5C4D79D2F959D26323529E1D881DCAD615','botany question 0');
INSERT INTO "text" VALUES(6,X'3C3934C66373DD60101B5992FCA6E5897E0401C84B700BF9C3F0970284CF8EC2','botany question 1');
INSERT INTO "text" VALUES(7,X'897697D3A21B08F75CB39657B55EA70EB80170E5E993A433C219A5DC23E7DA12','botany question 2');
INSERT INTO "text" VALUES(8,X'C66CA72F5B4D02F7B4F5E0A7C59B28ECA8FF680CA03A9AAC4CFD35942A6BDBEB','botany question 3');
INSERT INTO "text" VALUES(9,X'3420FE57593D08087926AA9A64B67DE369AB85F7767EDB40FD36609F94F10DFD','botany question 4');
INSERT INTO "text" VALUES(10,X'BE693182D40FF9594F83874BC213FB1DFF3A4B4FB9F09C185CB9D1CFE60E171E','botany question 5');
CREATE TABLE tokenizer(
  tokenizer_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256) = 32),  -- of tokenizer.json
  vocab_size INTEGER NOT NULL
) STRICT;
INSERT INTO "tokenizer" VALUES(1,X'5F97E3774C51EDD1D63706C2EC3826C564A067794770CDAB0F8C4797971CACF9',512);
CREATE TABLE verdict(
  verdict_id INTEGER PRIMARY KEY,
  base_run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  cand_run_id INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
  policy_sha256 BLOB NOT NULL REFERENCES policy,
  verdict TEXT NOT NULL CHECK(verdict IN ('pass', 'regressed', 'inconclusive', 'not_comparable', 'incomplete')),
  report TEXT NOT NULL CHECK(json_valid(report)),
  created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX run_by_plan ON run(plan_sha256);
CREATE INDEX run_task_by_task ON run_task(task_id, run_id);
CREATE INDEX score_by_sample ON score(sample_id);
CREATE INDEX metric_board ON metric(scope, name, filter, estimator);
CREATE INDEX verdict_by_run ON verdict(cand_run_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('run',2);
COMMIT;
