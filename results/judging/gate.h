// `fathom gate`: may the candidate replace the base? A pure function of the paired documents and the policy.
//
// In order: runs that do not answer the same questions are not comparable; runs with missing answers are
// incomplete; a primary number is regressed when its interval lies below zero and the loss reaches the floor;
// a family is regressed when one of its members is worse after correction for their number; what is neither
// regressed nor shown to be within the margin is inconclusive. docs/statistics.md has the formulas and the
// measured error rates.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "results/judging/paired_runs.h"
#include "results/judging/policy.h"
#include "results/statistics/paired.h"

namespace fathom::results {

/// In the order of precedence: the first that any part says is the gate's.
enum class Verdict { kNotComparable, kIncomplete, kRegressed, kInconclusive, kPass };
std::string_view verdict_name(
    Verdict verdict);  ///< "pass", "regressed", "inconclusive", "not_comparable", "incomplete"

/// A condition that the two runs must meet before numbers are looked at.
struct Precondition {
  std::string name;
  Verdict verdict = Verdict::kPass;
  std::string detail;  ///< what was found; of a failure, with what to do
};

struct PrimaryResult {
  std::string scope;
  std::string metric;
  std::string filter;
  int64_t n = 0;
  double base = 0.0;
  double cand = 0.0;
  Estimate difference;  ///< interval of `level`
  double level = 0.0;   ///< 1 - alpha / number of primaries
  double margin = 0.0;  ///< in units of the score
  double floor = 0.0;
  std::optional<Flips> flips;
  std::optional<double> p_worse;  ///< one-sided exact McNemar; must confirm a regression of 0/1 scores
  std::optional<double> mde;
  std::optional<double> n_needed;  ///< documents with which a candidate that equals the base would pass
  Verdict verdict = Verdict::kPass;
  std::string reason;
};

struct FamilyMember {
  std::string task;
  Flips flips;  ///< documents with a worse and a better score
  double difference = 0.0;
  double p = 1.0;  ///< one-sided exact sign test (McNemar's, for 0/1 scores)
  double q = 1.0;
  bool regressed = false;
};

struct FamilyResult {
  std::string group;
  std::string metric;
  double margin = 0.0;
  double q_limit = 0.0;  ///< alpha / 2 / number of families
  std::vector<FamilyMember> members;
  Verdict verdict = Verdict::kPass;
  std::string reason;
};

struct SpeedResult {
  double base = 0.0;  ///< tokens/s
  double cand = 0.0;
  double max_slowdown = 0.0;
  Verdict verdict = Verdict::kPass;
  std::string reason;
};

struct GateReport {
  Verdict verdict = Verdict::kPass;
  std::string reason;  ///< one line
  std::vector<Precondition> preconditions;
  std::vector<PrimaryResult> primaries;  ///< empty when a precondition failed, like the rest
  std::vector<FamilyResult> families;
  std::optional<SpeedResult> speed;
  std::vector<std::string> warnings;
};

GateReport judge(const PairedRuns& runs, const Policy& policy);

}  // namespace fathom::results
