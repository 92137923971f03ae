// CodeExecution: how the run loop has model-written programs run and judged, without knowing the sandbox.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/records.h"

namespace fathom::harness {

struct CodeJob {
  uint64_t id = 0;
  std::string prompt;
  std::string completion;
  std::string test;
  std::string entry_point;
};

struct CodeOutcome {
  uint64_t id = 0;
  std::string verdict;  ///< "pass", "fail", "timeout", ..., "sandbox_error"
  std::vector<results::VerdictRecord> attempts;
};

/// What confines the programs: stored with every verdict.
struct CodePolicy {
  Sha256Digest sha256{};
  std::string level;
  std::string layers_json;
};

class CodeExecution {
 public:
  virtual ~CodeExecution() = default;
  virtual CodePolicy policy() const = 0;
  virtual void submit(CodeJob job) = 0;
  /// A finished program, in whatever order they finish. kPoll returns at once; kWait blocks while programs
  /// are running and returns nothing when none is left.
  enum class Wait { kPoll, kWait };
  virtual std::optional<CodeOutcome> next(Wait wait) = 0;
};

}  // namespace fathom::harness
