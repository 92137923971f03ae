-- Schema 2 -> 3: what `fathom bench --store` keeps.

CREATE TABLE bench(
  bench_id INTEGER PRIMARY KEY,
  build_id INTEGER NOT NULL REFERENCES build,
  machine_id INTEGER NOT NULL REFERENCES machine,
  created_us INTEGER NOT NULL,
  command TEXT NOT NULL CHECK(json_valid(command)),
  context TEXT NOT NULL CHECK(json_valid(context)),
  UNIQUE(created_us, machine_id, command)
) STRICT;
CREATE TABLE bench_figure(
  bench_id INTEGER NOT NULL REFERENCES bench ON DELETE CASCADE,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  unit TEXT NOT NULL,
  rate REAL NOT NULL,
  share REAL,
  share_of TEXT NOT NULL,
  repeats TEXT NOT NULL CHECK(json_valid(repeats)),
  PRIMARY KEY(bench_id, position)
) STRICT, WITHOUT ROWID;
