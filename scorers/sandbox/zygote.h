// Starting and talking to a zygote: the confined, pre-started interpreter of one side of a cell.
//
// Control socket: SOCK_SEQPACKET. Supervisor to zygote: Order, with descriptors. Zygote to supervisor:
// Report, with the pidfd of the child in kStarted. A judge's process has another socket of this kind, to the
// supervisor: it reports kServed after a sample and takes the Order of the next one. The structures are those
// of python/zygote.py, little-endian, no padding:
//
//   Order   kind u32 | cpu_s u32 | memory_bytes i64 | tmp_bytes i64 | processes i64 | key 32 bytes
//   Report  kind u32 | status i32 | user_us i64 | system_us i64 | peak_rss_kib i64 | flags i64 | text 256
//   bytes
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scorers/sandbox/cgroup.h"
#include "scorers/sandbox/file_descriptor.h"
#include "scorers/sandbox/interpreter.h"
#include "scorers/sandbox/options.h"
#include "scorers/sandbox/setup.h"

namespace fathom::sandbox {

enum class Role { kRunner, kJudge };

enum class OrderKind : uint32_t { kRun = 1, kProbe = 2 };

struct Order {
  OrderKind kind = OrderKind::kRun;
  uint32_t cpu_s = 0;  ///< RLIMIT_CPU, the back-stop of the supervisor's own clock; 0: none
  int64_t memory_bytes = 0;
  int64_t tmp_bytes = 0;
  int64_t processes = 1;
  std::array<uint8_t, 32> key{};  ///< of the problem, for the judge's cache of compiled tests
};
static_assert(sizeof(Order) == 64);

enum class ReportKind : uint32_t {
  kReady = 1,    ///< the zygote waits for its first order
  kStarted = 2,  ///< the child exists
  kExited = 3,   ///< the child is gone; status as from wait4
  kFailed = 4,   ///< a layer could not be put in place; the text says which
  kServed = 5,   ///< of a judge's process, not of the zygote: ready for the next sample; the times are totals
};

/// Bits of Report::flags.
inline constexpr int64_t kTmpBytesUsedUp = 1;
inline constexpr int64_t kTmpFilesUsedUp = 2;
inline constexpr int64_t kLeftProcesses = 4;

struct Report {
  ReportKind kind = ReportKind::kReady;
  int32_t status = 0;
  int64_t user_us = 0;
  int64_t system_us = 0;
  int64_t peak_rss_kib = 0;
  int64_t flags = 0;
  char text[256] = {};
};
static_assert(sizeof(Report) == 296);

struct Received {
  Report report;
  FileDescriptor fd;  ///< the child's pidfd of kStarted
};

/// False when the other side is gone.
bool send_order(int socket, const Order& order, std::span<const int> fds);
/// The next report, without waiting; nothing when there is none, or when the other side is gone: then `gone`
/// is set.
std::optional<Received> receive_report(int socket, bool& gone);

/// Everything that a zygote is started with.
struct ZygoteSpec {
  Role role = Role::kRunner;
  Level level = Level::kFull;
  Interpreter interpreter;
  VisibleFiles visible;
  std::vector<std::string> arguments;    ///< argv of the interpreter
  std::vector<std::string> environment;  ///< "NAME=value"
  std::string script;                    ///< configuration line and Python source
  std::string filter;                    ///< zygote filter; empty at level none
  int64_t tmp_bytes = 0;
  std::string folder;  ///< landlock, none: the working folder on the host
  /// Set when the supervisor is root: the unused user and group that the side runs as, seen from outside.
  std::optional<uid_t> outer_id;
  HostWitness witness;
  int nice = 0;
  CgroupParent cgroup_parent;  ///< without folders: no group
  std::string cgroup_name;
  CgroupLimits cgroup_limits;
};

/// A started zygote. Destroying it kills the process and with it everything in its pid namespace.
class Zygote {
 public:
  /// Starts the process; it is ready when it reports kReady. Throws SetupFailure when the kernel refuses a
  /// namespace (the layer names it) and Error{kEnvironment} for everything else.
  explicit Zygote(const ZygoteSpec& spec);
  ~Zygote();
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;

  int control_fd() const { return control_.get(); }
  pid_t pid() const { return pid_; }

  /// False when the zygote is gone.
  bool send(const Order& order, std::span<const int> fds) { return send_order(control_.get(), order, fds); }
  std::optional<Received> receive() { return receive_report(control_.get(), gone_); }
  /// True once the control socket was closed by the other side.
  bool gone() const { return gone_; }

  /// The group of the process and its children; null when there is none.
  Cgroup* cgroup() { return cgroup_.get(); }

  /// What the interpreter wrote to standard error, for the message about a failed start.
  std::string errors() const;
  /// What bubblewrap reported about its namespaces; empty at other levels.
  std::string bubblewrap_info() const;

 private:
  void end();

  std::unique_ptr<Cgroup> cgroup_;  // outlives its members
  FileDescriptor control_;
  FileDescriptor info_;
  FileDescriptor errors_;
  pid_t pid_ = -1;
  bool gone_ = false;
};

}  // namespace fathom::sandbox
