#include "engine/engine.h"

#include "base/error.h"

namespace fathom::engine {

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kScored:
      return "scored";
    case FinishReason::kEos:
      return "eos";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
  }
  FATHOM_CHECK(false, "finish reason {}", static_cast<int>(reason));
}

}  // namespace fathom::engine
