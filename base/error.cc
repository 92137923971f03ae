#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace fathom {

Error::Error(ErrorKind kind, std::string message, std::string where)
    : kind_(kind), message_(std::move(message)), where_(std::move(where)) {
  what_ = where_.empty() ? message_ : where_ + ": " + message_;
}

int Error::exit_code() const {
  switch (kind_) {
    case ErrorKind::kUsage:
      return kExitUsage;
    case ErrorKind::kBadInput:
      return kExitBadInput;
    case ErrorKind::kEngine:
      return kExitEngine;
    case ErrorKind::kEnvironment:
      return kExitEnvironment;
  }
  FATHOM_CHECK(false, "error kind {}", static_cast<int>(kind_));
}

namespace detail {

void check_failed(const char* condition, const char* file, int line, const std::string& values) {
  std::fprintf(stderr, "fathom: bug: %s:%d: check failed: %s %s\n", file, line, condition, values.c_str());
  std::abort();
}

}  // namespace detail
}  // namespace fathom
