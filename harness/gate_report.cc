#include "harness/gate_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "harness/comparison_report.h"
#include "harness/text_table.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using results::FamilyMember;
using results::FamilyResult;
using results::GateReport;
using results::PrimaryResult;
using results::Verdict;

constexpr size_t kMembersShown = 8;

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

std::string metric_name(const PrimaryResult& p) {
  return p.filter == "none" ? p.metric : p.metric + "," + p.filter;
}

std::string words(Verdict verdict) {
  std::string text(results::verdict_name(verdict));
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

std::string conditions_text(const GateReport& report) {
  TextTable table("lll", {"condition", "", "found"});
  for (const results::Precondition& p : report.preconditions) {
    table.add({p.name, p.verdict == Verdict::kPass ? "ok" : words(p.verdict), p.detail});
  }
  return table.text() + "\n";
}

std::string primaries_text(const GateReport& report) {
  if (report.primaries.empty()) return {};
  TextTable table("lllrrrrlrr", {"primary", "metric", "verdict", "n", "base", "cand", "change", "interval",
                                 "margin", "MDE"});
  for (const PrimaryResult& p : report.primaries) {
    table.add({p.scope, metric_name(p), words(p.verdict), std::to_string(p.n), fmt::format("{:.4f}", p.base),
               fmt::format("{:.4f}", p.cand), signed_number(p.difference.value),
               signed_interval(p.difference), fmt::format("{:.4f}", p.margin),
               p.mde ? fmt::format("{:.4f}", *p.mde) : "-"});
  }
  std::string text = table.text();
  text += fmt::format("intervals of {:.4g} %: {} primary number{} share half of the false-alarm rate\n\n",
                      100 * report.primaries.front().level, report.primaries.size(),
                      report.primaries.size() == 1 ? "" : "s");
  return text;
}

// The members that regressed, else the one that came closest.
std::string family_text(const FamilyResult& family) {
  std::string text = fmt::format("family {}: {}; {} (q <= {:.4g})\n", family.group, words(family.verdict),
                                 family.reason, family.q_limit);
  std::vector<FamilyMember> members = family.members;
  std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.p < b.p; });
  if (family.verdict == Verdict::kPass) members.resize(std::min<size_t>(members.size(), 1));
  std::erase_if(members,
                [&](const FamilyMember& m) { return family.verdict != Verdict::kPass && !m.regressed; });
  if (members.empty()) return text;
  const size_t n = members.size();
  members.resize(std::min(n, kMembersShown));
  TextTable table("lrrrrrr", {"member", "n", "worse", "better", "change", "p", "q"});
  for (const FamilyMember& m : members) {
    table.add({m.task, std::to_string(m.flips.n), std::to_string(m.flips.lost), std::to_string(m.flips.won),
               fmt::format("{:+.4f}", m.difference), p_value(m.p), p_value(m.q)});
  }
  text += table.text("  ");
  if (n > kMembersShown) text += fmt::format("  and {} more (--json FILE has all)\n", n - kMembersShown);
  return text;
}

json primary_json(const PrimaryResult& p) {
  json object = {{"scope", p.scope},
                 {"metric", p.metric},
                 {"filter", p.filter},
                 {"verdict", results::verdict_name(p.verdict)},
                 {"reason", p.reason},
                 {"n", p.n},
                 {"base", p.base},
                 {"candidate", p.cand},
                 {"margin", p.margin},
                 {"floor", p.floor},
                 {"worse", p.flips ? json(p.flips->lost) : json(nullptr)},
                 {"better", p.flips ? json(p.flips->won) : json(nullptr)},
                 {"p_worse", or_null(p.p_worse)},
                 {"mde80", or_null(p.mde)},
                 {"n_needed", or_null(p.n_needed)}};
  add_difference_json(p.difference, p.level, object);
  return object;
}

json family_json(const FamilyResult& family) {
  json members = json::array();
  for (const FamilyMember& m : family.members) {
    members.push_back({{"task", m.task},
                       {"n", m.flips.n},
                       {"worse", m.flips.lost},
                       {"better", m.flips.won},
                       {"change", m.difference},
                       {"p", m.p},
                       {"q", m.q},
                       {"regressed", m.regressed}});
  }
  return {{"group", family.group},
          {"metric", family.metric},
          {"margin", family.margin},
          {"q_limit", family.q_limit},
          {"verdict", results::verdict_name(family.verdict)},
          {"reason", family.reason},
          {"members", std::move(members)}};
}

// XML text: the five special characters escaped, what XML 1.0 forbids replaced.
std::string xml(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&apos;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return escaped;
}

struct TestCase {
  std::string kind;
  std::string name;
  Verdict verdict;
  std::string reason;
};

std::vector<TestCase> test_cases(const GateReport& report) {
  std::vector<TestCase> cases;
  for (const auto& p : report.preconditions) cases.push_back({"condition", p.name, p.verdict, p.detail});
  for (const auto& p : report.primaries)
    cases.push_back({"primary", p.scope + " " + metric_name(p), p.verdict, p.reason});
  for (const auto& f : report.families) cases.push_back({"family", f.group, f.verdict, f.reason});
  if (report.speed)
    cases.push_back({"speed", "tokens per second", report.speed->verdict, report.speed->reason});
  return cases;
}

bool is_error(Verdict verdict) {
  return verdict == Verdict::kNotComparable || verdict == Verdict::kIncomplete;
}

}  // namespace

ExitCode gate_exit_code(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return kExitDone;
    case Verdict::kRegressed:
      return kExitGateRegressed;
    case Verdict::kInconclusive:
      return kExitGateInconclusive;
    case Verdict::kNotComparable:
      return kExitGateNotComparable;
    case Verdict::kIncomplete:
      return kExitGateIncomplete;
  }
  FATHOM_CHECK(false, "verdict");
}

std::string gate_text(const GateOutcome& outcome) {
  const GateReport& report = outcome.report;
  std::string text = fmt::format("gate: {} (exit code {})\n  {}\n\n", upper(words(report.verdict)),
                                 static_cast<int>(gate_exit_code(report.verdict)), report.reason);
  text += fmt::format("base       {}\ncandidate  {}\npolicy     {} ({})\n\n",
                      run_line(outcome.runs.base.info), run_line(outcome.runs.cand.info),
                      to_hex(results::policy_sha256(outcome.policy)).substr(0, 12), outcome.policy_name);
  text += conditions_text(report) + primaries_text(report);
  for (const FamilyResult& family : report.families) text += family_text(family);
  if (report.speed)
    text += fmt::format("speed: {}; {}\n", words(report.speed->verdict), report.speed->reason);
  for (const std::string& warning : report.warnings) text += "warning: " + warning + "\n";
  return text;
}

json gate_json(const GateOutcome& outcome) {
  const GateReport& report = outcome.report;
  json conditions = json::array();
  for (const auto& p : report.preconditions) {
    conditions.push_back(
        {{"name", p.name}, {"verdict", results::verdict_name(p.verdict)}, {"detail", p.detail}});
  }
  json primaries = json::array();
  for (const PrimaryResult& p : report.primaries) primaries.push_back(primary_json(p));
  json families = json::array();
  for (const FamilyResult& family : report.families) families.push_back(family_json(family));
  json object = {{"verdict", results::verdict_name(report.verdict)},
                 {"exit_code", static_cast<int>(gate_exit_code(report.verdict))},
                 {"reason", report.reason},
                 {"base", run_json(outcome.runs.base.info)},
                 {"candidate", run_json(outcome.runs.cand.info)},
                 {"policy_sha256", to_hex(results::policy_sha256(outcome.policy))},
                 {"policy", json::parse(results::canonical_policy(outcome.policy))},
                 {"conditions", std::move(conditions)},
                 {"primary", std::move(primaries)},
                 {"families", std::move(families)},
                 {"speed", nullptr},
                 {"warnings", report.warnings}};
  if (report.speed) {
    object["speed"] = {{"base_tokens_per_s", report.speed->base},
                       {"candidate_tokens_per_s", report.speed->cand},
                       {"max_slowdown", report.speed->max_slowdown},
                       {"verdict", results::verdict_name(report.speed->verdict)},
                       {"reason", report.speed->reason}};
  }
  return object;
}

std::string gate_junit(const GateOutcome& outcome) {
  const std::vector<TestCase> cases = test_cases(outcome.report);
  const auto n_errors =
      std::count_if(cases.begin(), cases.end(), [](const TestCase& c) { return is_error(c.verdict); });
  const auto n_passed = std::count_if(cases.begin(), cases.end(),
                                      [](const TestCase& c) { return c.verdict == Verdict::kPass; });
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuite name=\"fathom gate\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
      cases.size(), static_cast<std::ptrdiff_t>(cases.size()) - n_errors - n_passed, n_errors);
  for (const TestCase& c : cases) {
    text += fmt::format("  <testcase classname=\"{}\" name=\"{}\"", c.kind, xml(c.name));
    if (c.verdict == Verdict::kPass) {
      text += "/>\n";
      continue;
    }
    const char* element = is_error(c.verdict) ? "error" : "failure";
    text += fmt::format(">\n    <{} type=\"{}\" message=\"{}\"/>\n  </testcase>\n", element,
                        results::verdict_name(c.verdict), xml(c.reason));
  }
  return text + "</testsuite>\n";
}

}  // namespace fathom::harness
