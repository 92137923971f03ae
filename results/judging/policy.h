// A gate's policy: what must not get worse, by how much, and with which risk of a false alarm.
//
// A policy is JSON, read strictly: an unknown key or a value out of range is an error that names it. Its
// canonical text with every default filled in is what is hashed and stored, so that equal hashes mean equal
// rules.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/sha256.h"

namespace fathom::results {

/// A number that must not get worse.
struct PrimaryRule {
  std::string scope;   ///< "group:mmlu" or "task:gsm8k"
  std::string metric;  ///< "acc", or kGoldLogprob
  std::string filter = "none";
  std::optional<double> margin;  ///< absent: the policy's, times the score's range
  std::optional<double> floor;
};

/// Tasks that are tested one by one.
struct FamilyRule {
  std::string group;  ///< its members
  std::optional<double> margin;
};

struct Policy {
  double alpha = 0.05;   ///< the chance of a false alarm: half for the primaries, half for the families
  double margin = 0.01;  ///< loss that is accepted, as a share of the score's range
  double floor = 0.002;  ///< a loss below this is never a regression, as a share of the score's range
  double family_margin = 0.05;         ///< loss of one member that is accepted
  double min_paired = 0.995;           ///< share of the planned documents that must have a pair
  double max_unscored = 0.005;         ///< share of documents without a score that either run may have
  double max_cut_rise = 0.01;          ///< rise in the share of answers cut by the token limit
  std::optional<double> max_slowdown;  ///< share of tokens/s that may be lost; absent: not judged
  std::optional<std::vector<PrimaryRule>>
      primary;  ///< absent: the headline of every top-level group and task
  std::optional<std::vector<FamilyRule>> families;  ///< absent: every top-level group
};

/// Throws Error{kBadInput} naming `where` and the key.
Policy parse_policy(const std::string& text, const std::string& where);

/// Sorted keys, all of them; absent parts are null.
std::string canonical_policy(const Policy& policy);
Sha256Digest policy_sha256(const Policy& policy);

}  // namespace fathom::results
