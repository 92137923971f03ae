// A gate's verdict for people (one screen), for programs (JSON) and for continuous integration (JUnit XML).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"
#include "results/judging/gate.h"

namespace fathom::harness {

/// Everything that a report tells.
struct GateOutcome {
  const results::PairedRuns& runs;
  const results::Policy& policy;
  std::string policy_name;  ///< the file, or "default"
  const results::GateReport& report;
};

ExitCode gate_exit_code(results::Verdict verdict);
std::string gate_text(const GateOutcome& outcome);
nlohmann::json gate_json(const GateOutcome& outcome);
/// One test case a condition, primary number and family; all but a pass are failures, and a condition that is
/// not met is an error.
std::string gate_junit(const GateOutcome& outcome);

}  // namespace fathom::harness
