#include "results/records.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"

namespace fathom::results {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 5> kFinishNames = {"scored", "eos", "stop", "length", "none"};
constexpr std::array<std::string_view, 3> kOutcomeNames = {"scored", "no_answer", "error"};
constexpr std::array<std::string_view, 3> kScoreKindNames = {"binary", "bounded", "real"};
constexpr std::array<std::string_view, 4> kRunStatusNames = {"running", "interrupted", "complete", "failed"};

// Codes that come from a database are data, so a value outside the table is its error, not a bug.
std::string_view name_of(Names names, int code, std::string_view what) {
  if (code < 0 || static_cast<size_t>(code) >= names.size()) {
    bad_input({}, "the database holds {} as a {}; expected 0 to {}", code, what, names.size() - 1);
  }
  return names[static_cast<size_t>(code)];
}

int code_of(Names names, std::string_view name, std::string_view what) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) bad_input({}, "\"{}\" is no {}; expected {}", name, what, fmt::join(names, ", "));
  return static_cast<int>(found - names.begin());
}

}  // namespace

Sha256Digest manifest_sha256(std::vector<FileIdentity> files) {
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  Sha256 hash;
  for (const FileIdentity& file : files) {
    hash.update(file.path);
    hash.update(fmt::format("{}{}{}{}\n", '\0', file.size_bytes, '\0', to_hex(file.sha256)));
  }
  return hash.finish();
}

std::string_view finish_name(Finish finish) {
  return name_of(kFinishNames, static_cast<int>(finish), "finish reason");
}

Finish finish_from_name(std::string_view name) {
  return static_cast<Finish>(code_of(kFinishNames, name, "finish reason"));
}

std::string_view outcome_name(ScoreOutcome outcome) {
  return name_of(kOutcomeNames, static_cast<int>(outcome), "score outcome");
}

ScoreOutcome outcome_from_name(std::string_view name) {
  return static_cast<ScoreOutcome>(code_of(kOutcomeNames, name, "score outcome"));
}

std::string_view score_kind_name(ScoreKind kind) {
  return name_of(kScoreKindNames, static_cast<int>(kind), "kind of score");
}

ScoreKind score_kind_from_name(std::string_view name) {
  return static_cast<ScoreKind>(code_of(kScoreKindNames, name, "kind of score"));
}

std::string_view run_status_name(RunStatus status) {
  return name_of(kRunStatusNames, static_cast<int>(status), "run status");
}

RunStatus run_status_from_name(std::string_view name) {
  return static_cast<RunStatus>(code_of(kRunStatusNames, name, "run status"));
}

}  // namespace fathom::results
