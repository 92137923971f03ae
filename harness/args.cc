#include "harness/args.h"

#include <cstdlib>

#include "base/error.h"

namespace fathom::harness {
namespace fs = std::filesystem;

fs::path user_data_folder() {
  const char* data_home = std::getenv("XDG_DATA_HOME");
  if (data_home != nullptr && fs::path(data_home).is_absolute()) return fs::path(data_home) / "fathom";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return fs::path(home) / ".local/share/fathom";
  throw Error(ErrorKind::kEnvironment,
              "no folder for data sets: neither XDG_DATA_HOME nor HOME is set; set one, or give --data DIR");
}

fs::path user_cache_folder() {
  const char* cache_home = std::getenv("XDG_CACHE_HOME");
  if (cache_home != nullptr && fs::path(cache_home).is_absolute()) return fs::path(cache_home) / "fathom";
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return fs::path(home) / ".cache/fathom";
  return {};
}

}  // namespace fathom::harness
