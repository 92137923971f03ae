#include "scorers/sandbox/job.h"

#include "base/error.h"

namespace fathom::sandbox {

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "fail";
    case Verdict::kCompileError:
      return "compile_error";
    case Verdict::kRuntimeError:
      return "runtime_error";
    case Verdict::kTimeout:
      return "timeout";
    case Verdict::kOom:
      return "oom";
    case Verdict::kKilledByPolicy:
      return "killed_by_policy";
    case Verdict::kSandboxError:
      return "sandbox_error";
  }
  FATHOM_CHECK(false, "verdict {}", static_cast<int>(verdict));
}

std::optional<std::string_view> reference_result(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "passed";
    case Verdict::kTimeout:
      return "timed out";
    case Verdict::kSandboxError:
      return std::nullopt;
    default:
      return "failed";
  }
}

}  // namespace fathom::sandbox
