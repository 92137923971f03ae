// Wall-clock time as it is stored: microseconds since 1970, UTC.
#pragma once

#include <cstdint>
#include <string>

namespace fathom {

int64_t unix_time_us();

/// "2025-01-31 14:05:09" in UTC.
std::string format_utc(int64_t unix_us);

}  // namespace fathom
