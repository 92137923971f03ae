#include "results/judging/gate.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "results/judging/paired_scope.h"
#include "results/statistics/mean.h"
#include "results/statistics/multiple_testing.h"
#include "results/statistics/power.h"

namespace fathom::results {
namespace {

constexpr size_t kDifferencesShown = 4;

std::string percent(double share) {
  return fmt::format("{:.2f} %", 100 * share);
}

double width_of(const std::optional<Bounds>& bounds) {
  return bounds ? bounds->high - bounds->low : 1.0;
}

// The policy with its defaults made explicit for these runs.
struct Rules {
  std::vector<PrimaryRule> primary;
  std::vector<FamilyRule> families;
  std::set<std::string> tasks;       // that any of them looks at
  std::vector<std::string> missing;  // scopes of the policy that the runs do not share
};

const PairedSeries* headline_of(const PairedTask& task) {
  for (const PairedSeries& series : task.series) {
    if (series.headline) return &series;
  }
  return nullptr;
}

std::vector<const PairedTask*> members_of(const PairedRuns& runs, const std::string& scope) {
  std::vector<const PairedTask*> members;
  for (const PairedTask& task : runs.tasks) {
    const bool in_group = std::any_of(task.groups.begin(), task.groups.end(),
                                      [&](const std::string& group) { return "group:" + group == scope; });
    if (in_group || "task:" + task.name == scope) members.push_back(&task);
  }
  return members;
}

Rules rules_for(const PairedRuns& runs, const Policy& policy) {
  Rules rules{.primary = policy.primary.value_or(std::vector<PrimaryRule>{}),
              .families = policy.families.value_or(std::vector<FamilyRule>{})};
  for (const std::string& scope : top_level_scopes(runs.tasks)) {
    const PairedSeries* headline = headline_of(*members_of(runs, scope).front());
    if (!policy.primary && headline != nullptr)
      rules.primary.push_back({scope, headline->metric, headline->filter});
    if (!policy.families && scope.starts_with("group:")) rules.families.push_back({scope.substr(6)});
  }
  const auto look_at = [&](const std::string& scope) {
    const std::vector<const PairedTask*> members = members_of(runs, scope);
    if (members.empty()) rules.missing.push_back(scope);
    for (const PairedTask* member : members) rules.tasks.insert(member->name);
  };
  for (const PrimaryRule& rule : rules.primary) look_at(rule.scope);
  for (const FamilyRule& rule : rules.families) look_at("group:" + rule.group);
  return rules;
}

// Preconditions
// ------------------------------------------------------------------------------------------------

std::string listed(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kDifferencesShown);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

Precondition same_tasks(const PairedRuns& runs, const Policy& policy, const Rules& rules) {
  Precondition result{.name = "same tasks", .detail = fmt::format("{} judged", rules.tasks.size())};
  std::vector<std::string> problems;
  for (const std::string& scope : rules.missing) problems.push_back(scope + " is not in both runs");
  if (!policy.primary) {
    for (const std::string& task : runs.only_base_tasks) problems.push_back(task + " only in the base");
    for (const std::string& task : runs.only_cand_tasks) problems.push_back(task + " only in the candidate");
  }
  if (rules.tasks.empty()) problems.push_back("the runs have no task in common");
  if (problems.empty()) return result;
  result.verdict = Verdict::kNotComparable;
  result.detail = listed(problems);
  return result;
}

Precondition same_questions(const PairedRuns& runs, const Rules& rules) {
  Precondition result{.name = "same questions", .detail = "tasks, versions, examples and parameters agree"};
  std::vector<std::string> problems;
  for (const PlanDifference& d : runs.incomparable) {
    const bool of_a_task = d.path.starts_with("tasks.");
    const bool judged = std::any_of(rules.tasks.begin(), rules.tasks.end(), [&](const std::string& task) {
      return d.path.starts_with(fmt::format("tasks.{}.", task));
    });
    if (of_a_task && !judged) continue;
    problems.push_back(fmt::format("{}: {} in the base, {} in the candidate", d.path,
                                   d.there.value_or("absent"), d.here.value_or("absent")));
  }
  if (problems.empty()) return result;
  result.verdict = Verdict::kNotComparable;
  result.detail = listed(problems);
  return result;
}

Precondition finished(const PairedRuns& runs) {
  Precondition result{.name = "complete", .detail = "both runs are complete"};
  for (const auto& [name, side] : {std::pair("base", &runs.base), std::pair("candidate", &runs.cand)}) {
    if (side->info.status == RunStatus::kComplete) continue;
    result.verdict = Verdict::kIncomplete;
    result.detail = fmt::format("the {} (run {}) is {} with {} of {} samples; run it to its end first", name,
                                side->info.run_id, run_status_name(side->info.status), side->info.n_stored,
                                side->info.n_planned);
    return result;
  }
  return result;
}

// Sums over the judged tasks.
struct Totals {
  int64_t planned = 0;  // documents, in the run with more of them
  int64_t docs = 0;     // paired
  int64_t mismatched = 0;
  int64_t base_unscored = 0;
  int64_t cand_unscored = 0;
  int64_t base_cut = 0;
  int64_t cand_cut = 0;
  std::vector<std::string> mismatches;
  std::vector<std::string> unscored;
};

void name_unpaired(const PairedTask& task, const Unpaired& unpaired, const char* what,
                   std::vector<std::string>& names) {
  if (unpaired.n == 0) return;
  names.push_back(fmt::format("{}: {} {}{}{}", task.name, unpaired.n, what,
                              unpaired.keys.empty() ? "" : ", first ",
                              unpaired.keys.empty() ? "" : unpaired.keys.front()));
}

Totals totals_of(const PairedRuns& runs, const Rules& rules) {
  Totals totals;
  for (const PairedTask& task : runs.tasks) {
    if (!rules.tasks.contains(task.name)) continue;
    totals.planned += std::max(task.n_base_planned, task.n_cand_planned);
    totals.docs += static_cast<int64_t>(task.docs.size());
    totals.mismatched += task.prompt_differs.n + task.base_only.n + task.cand_only.n;
    totals.base_unscored += task.base_unscored.n;
    totals.cand_unscored += task.cand_unscored.n;
    totals.base_cut += task.n_base_cut;
    totals.cand_cut += task.n_cand_cut;
    name_unpaired(task, task.prompt_differs, "asked with another prompt", totals.mismatches);
    name_unpaired(task, task.base_only, "only in the base", totals.mismatches);
    name_unpaired(task, task.cand_only, "only in the candidate", totals.mismatches);
    name_unpaired(task, task.base_unscored, "without a score in the base", totals.unscored);
    name_unpaired(task, task.cand_unscored, "without a score in the candidate", totals.unscored);
  }
  return totals;
}

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

Precondition scored(const Totals& totals, const Policy& policy) {
  const double worst = share(std::max(totals.base_unscored, totals.cand_unscored), totals.planned);
  Precondition result{
      .name = "scored",
      .detail = fmt::format("{} of the base's and {} of the candidate's documents have no score",
                            totals.base_unscored, totals.cand_unscored)};
  if (worst > policy.max_unscored) {
    result.verdict = Verdict::kIncomplete;
    result.detail = fmt::format("{} without a score, {} are allowed (max_unscored): {}", percent(worst),
                                percent(policy.max_unscored), listed(totals.unscored));
  }
  return result;
}

Precondition paired(const Totals& totals, const Policy& policy) {
  const double matched = 1.0 - share(totals.mismatched, totals.docs + totals.mismatched);
  Precondition result{.name = "paired",
                      .detail = fmt::format("{} documents with identical prompts, {} without a partner",
                                            totals.docs, totals.mismatched)};
  if (matched < policy.min_paired) {
    result.verdict = Verdict::kNotComparable;
    result.detail = fmt::format("{} of the documents have a partner, {} are needed (min_paired): {}",
                                percent(matched), percent(policy.min_paired), listed(totals.mismatches));
  }
  return result;
}

Precondition not_cut(const Totals& totals, const Policy& policy) {
  const double rise = share(totals.cand_cut - totals.base_cut, totals.docs);
  Precondition result{.name = "answers not cut",
                      .detail = fmt::format("{} cut by the token limit in the base, {} in the candidate",
                                            totals.base_cut, totals.cand_cut)};
  if (rise > policy.max_cut_rise) {
    result.verdict = Verdict::kNotComparable;
    result.detail += fmt::format(": {} more, {} are allowed (max_cut_rise); raise --max-new-tokens for both",
                                 percent(rise), percent(policy.max_cut_rise));
  }
  return result;
}

std::vector<Precondition> preconditions_of(const PairedRuns& runs, const Policy& policy, const Rules& rules) {
  const Totals totals = totals_of(runs, rules);
  return {same_tasks(runs, policy, rules), same_questions(runs, rules), finished(runs),
          scored(totals, policy),          paired(totals, policy),      not_cut(totals, policy)};
}

// Primary numbers
// -----------------------------------------------------------------------------------------------

void decide(const PairedScope& scope, PrimaryResult& result) {
  const Estimate& d = result.difference;
  if (scope.n_identical == result.n) {
    result.reason = fmt::format("all {} answers are identical, bit for bit", result.n);
    return;
  }
  if (!d.ci_low) {
    result.verdict = Verdict::kInconclusive;
    result.reason = fmt::format("no interval ({}): too few documents to tell", d.ci_method);
    return;
  }
  const bool confirmed = !result.p_worse || *result.p_worse <= (1.0 - result.level) / 2;
  if (*d.ci_high < 0.0 && *d.value <= -result.floor && confirmed) {
    result.verdict = Verdict::kRegressed;
    result.reason = fmt::format(
        "worse: the whole interval lies below 0 and the loss reaches the floor of {:.4f}", result.floor);
  } else if (*d.ci_low > -result.margin) {
    result.reason = fmt::format("not worse by more than the margin of {:.4f}{}", result.margin,
                                *d.ci_high < 0.0  ? ", though worse"
                                : *d.ci_low > 0.0 ? ", and better"
                                                  : "");
  } else {
    result.verdict = Verdict::kInconclusive;
    result.reason = fmt::format(
        "a loss of more than the margin of {:.4f} is not excluded; {} documents find changes of "
        "{:.4f}",
        result.margin, result.n, *result.mde);
    if (result.n_needed)
      result.reason += fmt::format(", about {:.0f} are needed for the margin", *result.n_needed);
  }
}

PrimaryResult judge_primary(const PrimaryRule& rule, const std::vector<PairedScope>& scopes,
                            const Policy& policy, size_t n_primaries) {
  PrimaryResult result{.scope = rule.scope, .metric = rule.metric, .filter = rule.filter};
  const auto found = std::find_if(scopes.begin(), scopes.end(), [&](const PairedScope& s) {
    return s.scope == rule.scope && s.metric == rule.metric && s.filter == rule.filter;
  });
  if (found == scopes.end() || found->differences.empty()) {
    result.verdict = Verdict::kNotComparable;
    result.reason =
        found == scopes.end() ? "the runs do not share this metric" : "no document has a score in both runs";
    return result;
  }
  const PairedScope& scope = *found;
  result.n = static_cast<int64_t>(scope.differences.size());
  result.base = mean_of(scope.base);
  result.cand = mean_of(scope.cand);
  result.level = 1.0 - policy.alpha / static_cast<double>(n_primaries);
  result.margin = rule.margin.value_or(policy.margin * width_of(scope.bounds));
  result.floor = rule.floor.value_or(scope.bounds ? policy.floor * width_of(scope.bounds) : 0.0);
  result.difference = scope_difference(scope, result.level);
  result.flips = flips_of(scope);
  if (result.flips) result.p_worse = mcnemar_worse(*result.flips);
  if (result.difference.se) {
    const double se = *result.difference.se;
    result.mde = minimum_detectable_effect(se);
    if (result.margin > 0.0)
      result.n_needed = items_needed(result.margin, se * se * static_cast<double>(result.n));
  }
  decide(scope, result);
  return result;
}

// Families
// ------------------------------------------------------------------------------------------------------

FamilyResult judge_family(const FamilyRule& rule, const PairedRuns& runs, const Policy& policy,
                          size_t n_families) {
  FamilyResult result{.group = rule.group, .q_limit = policy.alpha / 2 / static_cast<double>(n_families)};
  std::vector<double> p_values;
  for (const PairedTask* task : members_of(runs, "group:" + rule.group)) {
    const PairedSeries* series = headline_of(*task);
    if (series == nullptr || series->base.empty()) continue;
    result.metric = series->metric;
    result.margin = rule.margin.value_or(policy.family_margin * width_of(series->bounds));
    std::vector<double> differences;
    for (size_t i = 0; i < series->base.size(); ++i) differences.push_back(series->cand[i] - series->base[i]);
    FamilyMember member{
        .task = task->name, .flips = sign_counts(differences), .difference = mean_of(differences)};
    member.p = mcnemar_worse(member.flips);
    p_values.push_back(member.p);
    result.members.push_back(std::move(member));
  }
  const std::vector<double> q_values = benjamini_hochberg(p_values);
  std::vector<std::string> worse;
  for (size_t i = 0; i < q_values.size(); ++i) {
    FamilyMember& member = result.members[i];
    member.q = q_values[i];
    member.regressed = member.q <= result.q_limit && member.difference <= -result.margin;
    if (member.regressed) worse.push_back(fmt::format("{} ({:+.4f})", member.task, member.difference));
  }
  result.reason =
      fmt::format("none of {} members is shown to be worse by {:.4f}", result.members.size(), result.margin);
  if (!worse.empty()) {
    result.verdict = Verdict::kRegressed;
    result.reason =
        fmt::format("{} of {} members worse: {}", worse.size(), result.members.size(), listed(worse));
  }
  return result;
}

// Speed
// ---------------------------------------------------------------------------------------------------------

bool differs(const PairedRuns& runs, std::initializer_list<std::string_view> paths) {
  return std::any_of(runs.provenance.begin(), runs.provenance.end(), [&](const PlanDifference& d) {
    return std::any_of(paths.begin(), paths.end(),
                       [&](std::string_view path) { return d.path.starts_with(path); });
  });
}

SpeedResult judge_speed(const PairedRuns& runs, double max_slowdown) {
  SpeedResult result{.base = runs.base.speed.tokens_per_s(),
                     .cand = runs.cand.speed.tokens_per_s(),
                     .max_slowdown = max_slowdown};
  if (result.base <= 0.0 || result.cand <= 0.0) {
    result.verdict = Verdict::kInconclusive;
    result.reason = "a run has no throughput record: its samples were reused, or an older fathom made it";
    return result;
  }
  const double loss = 1.0 - result.cand / result.base;
  result.reason = fmt::format("{:.1f} -> {:.1f} tokens/s, {:+.1f} %; a loss of {:.1f} % is allowed",
                              result.base, result.cand, -100 * loss, 100 * max_slowdown);
  if (loss <= max_slowdown) return result;
  if (differs(runs, {"machine", "device", "threads"})) {
    result.verdict = Verdict::kInconclusive;
    result.reason +=
        "; measured on different machines, devices or thread counts, which says nothing about fathom";
  } else if (!differs(runs, {"fathom binary", "config", "numerics", "tasks.", "parameters."})) {
    result.reason += "; the same binary did the same work, so this is the machine's noise";
  } else {
    result.verdict = Verdict::kRegressed;
  }
  return result;
}

// The verdict
// ---------------------------------------------------------------------------------------------------

// Collects the parts' verdicts; the gate's is the one of the highest precedence.
class Summary {
 public:
  void add(Verdict verdict, const std::string& reason) {
    if (verdict == Verdict::kPass) return;
    if (verdict < verdict_) {
      verdict_ = verdict;
      reasons_.clear();
    }
    if (verdict == verdict_) reasons_.push_back(reason);
  }
  Verdict verdict() const { return verdict_; }
  std::string reason() const {
    if (reasons_.empty())
      return "no primary number and no member of a family is worse than the policy allows";
    if (reasons_.size() == 1) return reasons_.front();
    return fmt::format("{} (and {} more)", reasons_.front(), reasons_.size() - 1);
  }

 private:
  Verdict verdict_ = Verdict::kPass;
  std::vector<std::string> reasons_;
};

void add_warnings(const PairedRuns& runs, GateReport& report) {
  for (const PrimaryResult& primary : report.primaries) {
    if (primary.verdict == Verdict::kPass && primary.difference.ci_high &&
        *primary.difference.ci_high < 0.0) {
      report.warnings.push_back(
          fmt::format("{} {} is worse, within the margin", primary.scope, primary.metric));
    }
  }
  const int64_t n_unexpected = count_unexpected_changes(runs).value_or(0);
  if (n_unexpected > 0) {
    report.warnings.push_back(
        fmt::format("{} documents were answered otherwise by the same weights under the same plan: "
                    "one of the two builds breaks the numerics contract",
                    n_unexpected));
  }
}

void judge_numbers(const PairedRuns& runs, const Policy& policy, const Rules& rules, GateReport& report) {
  const std::vector<PairedScope> scopes = paired_scopes(runs.tasks);
  for (const PrimaryRule& rule : rules.primary) {
    report.primaries.push_back(judge_primary(rule, scopes, policy, rules.primary.size()));
  }
  for (const FamilyRule& rule : rules.families) {
    report.families.push_back(judge_family(rule, runs, policy, rules.families.size()));
  }
  if (policy.max_slowdown) report.speed = judge_speed(runs, *policy.max_slowdown);
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNotComparable:
      return "not_comparable";
    case Verdict::kIncomplete:
      return "incomplete";
    case Verdict::kRegressed:
      return "regressed";
    case Verdict::kInconclusive:
      return "inconclusive";
    case Verdict::kPass:
      return "pass";
  }
  FATHOM_CHECK(false, "verdict");
}

GateReport judge(const PairedRuns& runs, const Policy& policy) {
  const Rules rules = rules_for(runs, policy);
  GateReport report{.preconditions = preconditions_of(runs, policy, rules)};
  Summary summary;
  for (const Precondition& p : report.preconditions) summary.add(p.verdict, p.name + ": " + p.detail);
  if (summary.verdict() == Verdict::kPass) {
    judge_numbers(runs, policy, rules, report);
    for (const PrimaryResult& p : report.primaries)
      summary.add(p.verdict, p.scope + " " + p.metric + ": " + p.reason);
    for (const FamilyResult& f : report.families)
      summary.add(f.verdict, "members of " + f.group + ": " + f.reason);
    if (report.speed) summary.add(report.speed->verdict, "speed: " + report.speed->reason);
    add_warnings(runs, report);
  }
  report.verdict = summary.verdict();
  report.reason = summary.reason();
  return report;
}

}  // namespace fathom::results
