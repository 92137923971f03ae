// What this process uses of the machine: memory and processor time.
#pragma once

#include <cstdint>

namespace fathom {

/// Bytes of memory that are resident now, mapped files included (Linux: /proc/self/statm).
int64_t resident_bytes();

/// Processor time of all threads since the process began, in microseconds. Child processes are not counted.
int64_t process_cpu_us();

}  // namespace fathom
