#include "scorers/sandbox/options.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace fathom::sandbox {
namespace {

template <typename Enum, size_t kSize>
using Names = std::array<std::pair<Enum, std::string_view>, kSize>;

constexpr Names<Level, 5> kLevels = {{{Level::kAuto, "auto"},
                                      {Level::kFull, "full"},
                                      {Level::kBwrap, "bwrap"},
                                      {Level::kLandlock, "landlock"},
                                      {Level::kNone, "none"}}};
constexpr Names<Timing, 2> kTimings = {{{Timing::kDefault, "default"}, {Timing::kReference, "reference"}}};

template <typename Enum, size_t kSize>
std::string_view name_of(const Names<Enum, kSize>& names, Enum value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  FATHOM_CHECK(false, "value {}", static_cast<int>(value));
}

template <typename Enum, size_t kSize>
Enum parse(const Names<Enum, kSize>& names, std::string_view word, const char* option) {
  std::string accepted;
  for (const auto& [value, name] : names) {
    if (name == word) return value;
    accepted += (accepted.empty() ? "" : ", ") + std::string(name);
  }
  throw Error(ErrorKind::kUsage, fmt::format("'{}' is not one of {}", word, accepted), option);
}

template <typename Number>
void check_range(const char* name, Number value, Number low, Number high, const std::string& where) {
  if (value >= low && value <= high) return;  // a NaN fails both
  bad_input(where, "limit {} is {}; it must lie between {} and {}", name, value, low, high);
}

}  // namespace

std::string_view level_name(Level level) {
  return name_of(kLevels, level);
}
Level parse_level(std::string_view word) {
  return parse(kLevels, word, "--sandbox");
}
std::string_view timing_name(Timing timing) {
  return name_of(kTimings, timing);
}
Timing parse_timing(std::string_view word) {
  return parse(kTimings, word, "--timing");
}

void check_limits(const Limits& limits, const std::string& where) {
  check_range("cpu_s", limits.cpu_s, 0.01, 86400.0, where);
  check_range("wall_s", limits.wall_s, 0.01, 86400.0, where);
  check_range("idle_s", limits.idle_s, 0.01, 86400.0, where);
  // An interpreter with the preloaded modules takes about 40 MiB of address space before the program starts.
  check_range<int64_t>("memory_mb", limits.memory_mb, 64, 1 << 20, where);
  check_range<int64_t>("tmp_mb", limits.tmp_mb, 1, 1 << 16, where);
  check_range<int64_t>("processes", limits.processes, 1, 4096, where);
  check_range<int64_t>("output_bytes", limits.output_bytes, 0, 1 << 30, where);
}

void check_processes(const Limits& limits, Level level, const std::string& where) {
  if (limits.processes == 1 || level != Level::kLandlock) return;
  bad_input(
      where,
      "limit processes is {}; level landlock has no pid namespace and allows 1 (--sandbox full or bwrap)",
      limits.processes);
}

void check_options(const SandboxOptions& options) {
  if (options.level == Level::kNone && !options.accept_no_sandbox) {
    throw Error(ErrorKind::kUsage,
                "level none lets programs that a model wrote act with all rights of this user; add "
                "--i-know-this-is-unsafe to accept that",
                "--sandbox");
  }
  if (options.n_workers < 0 || options.n_workers > 1024) {
    throw Error(ErrorKind::kUsage,
                fmt::format("{} is out of range: 0 (automatic) to 1024", options.n_workers), "--workers");
  }
  check_limits(options.limits, "sandbox limits");
  check_processes(options.limits, options.level, "sandbox limits");
}

void to_json(nlohmann::json& json, const Limits& limits) {
  json = {{"cpu_s", limits.cpu_s},
          {"wall_s", limits.wall_s},
          {"idle_s", limits.idle_s},
          {"memory_mb", limits.memory_mb},
          {"tmp_mb", limits.tmp_mb},
          {"processes", limits.processes},
          {"output_bytes", limits.output_bytes}};
}

void from_json(const nlohmann::json& json, Limits& limits) {
  json.at("cpu_s").get_to(limits.cpu_s);
  json.at("wall_s").get_to(limits.wall_s);
  json.at("idle_s").get_to(limits.idle_s);
  json.at("memory_mb").get_to(limits.memory_mb);
  json.at("tmp_mb").get_to(limits.tmp_mb);
  json.at("processes").get_to(limits.processes);
  json.at("output_bytes").get_to(limits.output_bytes);
}

void to_json(nlohmann::json& json, const SandboxOptions& options) {
  json = {{"level", level_name(options.level)},
          {"accept_no_sandbox", options.accept_no_sandbox},
          {"timing", timing_name(options.timing)},
          {"limits", options.limits},
          {"n_workers", options.n_workers},
          {"nice", options.nice},
          {"python", options.python}};
}

void from_json(const nlohmann::json& json, SandboxOptions& options) {
  options.level = parse_level(json.at("level").get<std::string>());
  json.at("accept_no_sandbox").get_to(options.accept_no_sandbox);
  options.timing = parse_timing(json.at("timing").get<std::string>());
  json.at("limits").get_to(options.limits);
  json.at("n_workers").get_to(options.n_workers);
  json.at("nice").get_to(options.nice);
  json.at("python").get_to(options.python);
}

}  // namespace fathom::sandbox
