#include "results/judging/run_speed.h"

#include "results/throughput.h"

namespace fathom::results {

RunSpeed run_speed(const Database& database, int64_t run_id) {
  RunSpeed speed;
  if (const std::optional<RunThroughput> throughput = run_throughput(database, run_id)) {
    speed.n_samples = throughput->n_samples;
    speed.n_tokens = throughput->prefill_tokens + throughput->decode_tokens;
    speed.seconds = throughput->wall_s;
  }
  Statement attempts = database.prepare(
      "SELECT m.description, a.device, a.n_threads, b.sha256 FROM run_attempt a"
      " JOIN build b USING(build_id) JOIN machine m USING(machine_id) WHERE a.run_id = ? ORDER BY a.attempt");
  attempts.query(run_id);
  while (attempts.step()) {
    speed.machine = attempts.text(0);
    speed.device = attempts.text(1);
    speed.n_threads = attempts.integer(2);
    speed.build_sha256 = to_hex(attempts.digest(3));
  }
  return speed;
}

}  // namespace fathom::results
