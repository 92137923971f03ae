#include "results/judging/run_speed.h"

namespace fathom::results {

RunSpeed run_speed(const Database& database, int64_t run_id) {
  RunSpeed speed;
  Statement samples = database.prepare(
      "SELECT count(*), ifnull(sum(s.n_prompt - s.n_cached + s.n_output), 0) FROM run_task rt JOIN sample s"
      " USING(run_task_id) WHERE rt.run_id = ? AND s.reused_from IS NULL AND s.status = 0");
  if (samples.query(run_id).step()) {
    speed.n_samples = samples.integer(0);
    speed.n_tokens = samples.integer(1);
  }
  Statement attempts = database.prepare(
      "SELECT a.last_commit_us - a.started_us, m.description, a.device, a.n_threads, b.sha256 FROM "
      "run_attempt a"
      " JOIN build b USING(build_id) JOIN machine m USING(machine_id) WHERE a.run_id = ? ORDER BY a.attempt");
  attempts.query(run_id);
  while (attempts.step()) {
    speed.seconds += static_cast<double>(attempts.integer(0)) / 1e6;
    speed.machine = attempts.text(1);
    speed.device = attempts.text(2);
    speed.n_threads = attempts.integer(3);
    speed.build_sha256 = to_hex(attempts.digest(4));
  }
  return speed;
}

}  // namespace fathom::results
