// The Python side of the sandbox, compiled into the binary by CMake from python/*.py.
#pragma once

#include <string_view>

namespace fathom::sandbox {

extern const std::string_view kCodecSource;
extern const std::string_view kZygoteSource;
extern const std::string_view kRunnerSource;
extern const std::string_view kProblemSource;
extern const std::string_view kJudgeSource;
extern const std::string_view kProbeSource;

}  // namespace fathom::sandbox
