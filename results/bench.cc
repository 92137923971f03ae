#include "results/bench.h"

#include "results/identity_rows.h"

namespace fathom::results {

int64_t store_bench(Database& database, const BenchRecord& bench) {
  Transaction transaction(database);
  database
      .prepare("INSERT INTO bench(build_id, machine_id, created_us, command, context) VALUES(?, ?, ?, ?, ?)")
      .run(build_row(database, bench.build), machine_row(database, bench.machine_json), bench.created_us,
           bench.command_json, bench.context_json);
  const int64_t bench_id = database.last_insert_rowid();
  Statement insert = database.prepare("INSERT INTO bench_figure VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  int64_t position = 0;
  for (const BenchFigureRecord& f : bench.figures)
    insert.run(bench_id, position++, f.name, f.unit, f.rate, f.share, f.share_of, f.repeats_json);
  transaction.commit();
  return bench_id;
}

std::vector<StoredBench> list_benches(const Database& database) {
  Statement rows = database.prepare(
      "SELECT b.bench_id, b.created_us, m.description, b.command, b.context, u.version, u.git_commit, "
      "u.git_dirty,"
      "  u.compiler FROM bench b JOIN machine m USING(machine_id) JOIN build u USING(build_id)"
      " ORDER BY b.bench_id DESC");
  Statement figures = database.prepare(
      "SELECT name, unit, rate, share, share_of, repeats FROM bench_figure WHERE bench_id = ? ORDER BY "
      "position");
  std::vector<StoredBench> all;
  rows.query();
  while (rows.step()) {
    StoredBench& stored = all.emplace_back();
    stored.bench_id = rows.integer(0);
    BenchRecord& bench = stored.bench;
    bench.created_us = rows.integer(1);
    bench.machine_json = rows.text(2);
    bench.command_json = rows.text(3);
    bench.context_json = rows.text(4);
    bench.build.version = rows.text(5);
    bench.build.git_commit = rows.text(6);
    bench.build.git_dirty = rows.integer(7) != 0;
    bench.build.compiler = rows.text(8);
    figures.query(stored.bench_id);
    while (figures.step()) {
      bench.figures.push_back({figures.text(0), figures.text(1), figures.real(2), figures.optional_real(3),
                               figures.text(4), figures.text(5)});
    }
  }
  return all;
}

}  // namespace fathom::results
