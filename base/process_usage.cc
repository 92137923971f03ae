#include "base/process_usage.h"

#include <unistd.h>

#include <ctime>
#include <fstream>

#include "base/error.h"

namespace fathom {

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  if (!(statm >> total_pages >> resident_pages)) {
    throw Error(ErrorKind::kEnvironment, "cannot read the memory use of this process", "/proc/self/statm");
  }
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

int64_t process_cpu_us() {
  std::timespec time{};
  FATHOM_CHECK(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
  return int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

}  // namespace fathom
