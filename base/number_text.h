// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace fathom {

/// "235,741,434,880"
std::string format_count(int64_t number);

/// "439.10 GiB", "1.5 KiB", "17 B": two decimals from MiB on, one below.
std::string format_bytes(uint64_t bytes);

}  // namespace fathom
