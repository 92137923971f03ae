#include "results/judging/verdict_store.h"

#include "base/clock.h"

namespace fathom::results {

void store_verdict(Database& database, int64_t base_run, int64_t cand_run, const Policy& policy,
                   Verdict verdict, const std::string& report_json) {
  Transaction transaction(database);
  const Sha256Digest sha256 = policy_sha256(policy);
  database.prepare("INSERT INTO policy VALUES(?, ?) ON CONFLICT DO NOTHING")
      .run(sha256, canonical_policy(policy));
  database
      .prepare(
          "INSERT INTO verdict(base_run_id, cand_run_id, policy_sha256, verdict, report, created_us)"
          " VALUES(?, ?, ?, ?, ?, ?)")
      .run(base_run, cand_run, sha256, verdict_name(verdict), report_json, unix_time_us());
  transaction.commit();
}

}  // namespace fathom::results
