#include "harness/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "base/thread_pool.h"

namespace fathom::harness {
namespace {

std::string cpu_model() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string instruction_sets() {
  std::string sets;
#if defined(__x86_64__)
  // __builtin_cpu_supports wants literals, hence the macro.
#define FATHOM_ADD_IF_SUPPORTED(feature, name) \
  if (__builtin_cpu_supports(feature)) sets += sets.empty() ? name : " " name
  FATHOM_ADD_IF_SUPPORTED("avx2", "AVX2");
  FATHOM_ADD_IF_SUPPORTED("fma", "FMA");
  FATHOM_ADD_IF_SUPPORTED("avx512f", "AVX512F");
  FATHOM_ADD_IF_SUPPORTED("avx512vnni", "AVX512-VNNI");
  FATHOM_ADD_IF_SUPPORTED("avx512bf16", "AVX512-BF16");
#undef FATHOM_ADD_IF_SUPPORTED
#endif
  return sets.empty() ? "baseline" : sets;
}

}  // namespace

MachineInfo describe_machine() {
  MachineInfo machine;
  struct utsname names{};
  if (::uname(&names) == 0) {
    machine.hostname = names.nodename;
    machine.kernel = std::string(names.sysname) + " " + names.release;
  }
  machine.cpu = cpu_model();
  machine.instruction_sets = instruction_sets();
  machine.cores = usable_processors();
  machine.ram_bytes = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  return machine;
}

}  // namespace fathom::harness
