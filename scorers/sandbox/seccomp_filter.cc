#include "scorers/sandbox/seccomp_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>

#include <cerrno>
#include <cstddef>
#include <memory>

#include "base/error.h"
#include "scorers/sandbox/pipe.h"
#include "scorers/sandbox/system_calls.h"

namespace fathom::sandbox {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the sandbox knows the system calls of x86-64 and aarch64"
#endif

// Newest call that libseccomp 2.5 and the lists know: everything above fails with ENOSYS, as on an older
// kernel.
constexpr uint32_t kLastKnownCall = 450;  // set_mempolicy_home_node, Linux 5.17

void require(int status, const char* step) {
  if (status == 0) return;
  throw Error(ErrorKind::kEnvironment, fmt::format("libseccomp: {} failed with error {}", step, -status),
              "sandbox: seccomp");
}

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

void allow(void* context, std::string_view name) {
  const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
  if (number == __NR_SCMP_ERROR) return;  // unknown to this libseccomp: stays refused
  require(seccomp_rule_add(context, SCMP_ACT_ALLOW, number, 0), "seccomp_rule_add");
}

void allow_values(void* context, const char* name, unsigned argument,
                  std::initializer_list<uint64_t> values) {
  for (const uint64_t value : values) {
    const scmp_arg_cmp compare = {argument, SCMP_CMP_EQ, value, 0};
    require(seccomp_rule_add_array(context, SCMP_ACT_ALLOW, call_number(name), 1, &compare), name);
  }
}

std::string export_filter(void* context) {
  const FileDescriptor file = make_memory_file("fathom-filter", "");
  require(seccomp_export_bpf(context, file.get()), "seccomp_export_bpf");
  return read_memory_file(file.get(), 1 << 16);
}

// A few instructions of classic BPF over struct seccomp_data. The accumulator holds the call's number between
// rules.
class Assembler {
 public:
  Assembler() {
    load(offsetof(seccomp_data, arch));
    jump(BPF_JEQ, kArchitecture, 1, 0);
    give(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
    jump(BPF_JGT, kLastKnownCall, 0, 1);
    give(SECCOMP_RET_ERRNO | ENOSYS);
  }

  /// The call ends in `action`.
  void refuse(std::string_view name, uint32_t action) {
    jump(BPF_JEQ, static_cast<uint32_t>(call_number(name)), 0, 1);
    give(action);
  }

  /// Starts a rule of `n_instructions` for one call; its last instructions must be give().
  void begin_call(std::string_view name, uint8_t n_instructions) {
    jump(BPF_JEQ, static_cast<uint32_t>(call_number(name)), 0, n_instructions);
  }
  void load_argument(unsigned index) {
    load(static_cast<uint32_t>(offsetof(seccomp_data, args)) + 8 * index);  // low half: little-endian
  }
  void load_argument_high(unsigned index) {
    load(static_cast<uint32_t>(offsetof(seccomp_data, args)) + 8 * index + 4);
  }
  void jump(uint16_t kind, uint32_t value, uint8_t if_true, uint8_t if_false) {
    code_.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | kind | BPF_K), value, if_true, if_false));
  }
  /// Jump on equality with the process number that the child writes in.
  void jump_if_own_pid(uint8_t if_true, uint8_t if_false) {
    pid_offsets_.push_back(code_.size() * sizeof(sock_filter) + offsetof(sock_filter, k));
    jump(BPF_JEQ, 0, if_true, if_false);
  }
  void give(uint32_t action) { code_.push_back(BPF_STMT(BPF_RET | BPF_K, action)); }

  ChildFilter finish() {
    give(SECCOMP_RET_ALLOW);
    return {std::string(reinterpret_cast<const char*>(code_.data()), code_.size() * sizeof(sock_filter)),
            pid_offsets_};
  }

 private:
  void load(uint32_t offset) { code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); }

  std::vector<sock_filter> code_;
  std::vector<size_t> pid_offsets_;
};

constexpr uint32_t kNamespaceFlags =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

void refuse_other_targets(Assembler& assembler, std::string_view name) {
  assembler.begin_call(name, 4);
  assembler.load_argument(0);
  assembler.jump_if_own_pid(1, 0);
  assembler.give(kRefuse);
  assembler.give(SECCOMP_RET_ALLOW);
}

void limit_clone(Assembler& assembler, uint32_t new_process) {
  assembler.begin_call("clone", 6);
  assembler.load_argument(0);
  assembler.jump(BPF_JSET, kNamespaceFlags, 1, 0);
  assembler.jump(BPF_JSET, CLONE_THREAD, 2, 1);
  assembler.give(kRefuse);
  assembler.give(new_process);
  assembler.give(SECCOMP_RET_ALLOW);
}

}  // namespace

std::string zygote_filter(const ZygoteFilterSpec& spec) {
  const Context context(
      seccomp_init(spec.refusal == Refusal::kError ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_TRACE(0)),
      &seccomp_release);
  require(context ? 0 : -ENOMEM, "seccomp_init");
  void* filter = context.get();
  require(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
          "SCMP_FLTATR_ACT_BADARCH");
  require(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), "SCMP_FLTATR_CTL_OPTIMIZE");
  for (const std::string_view name : allowed_calls(spec.python_minor)) allow(filter, name);
  for (const std::string_view name : zygote_calls()) allow(filter, name);
  if (spec.mounts) {
    for (const std::string_view name : mount_calls()) allow(filter, name);
  }
  // Arguments of these are looked at in the child.
  for (const std::string_view name : {"clone", "kill", "tgkill", "prctl", "prlimit64"}) allow(filter, name);

  allow_values(filter, "ioctl", 1, {FIOCLEX, FIONCLEX, FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ});
  allow_values(filter, "fcntl", 1,
               {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW,
                F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_GETPIPE_SZ});
  allow_values(filter, "socketpair", 0, {AF_UNIX});
  allow_values(filter, "sendto", 4, {0});  // no address
  // glibc falls back to clone, whose flags a filter can read; for the others to what older kernels have.
  for (const char* name : {"clone3", "openat2", "memfd_create", "io_uring_setup"}) {
    require(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call_number(name), 0), name);
  }
  return export_filter(filter);
}

ChildFilter child_filter(const ChildFilterSpec& spec) {
  const bool one = spec.processes == ChildProcesses::kOne;
  Assembler assembler;
  limit_clone(assembler, one ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ALLOW);
  if (one) {
    refuse_other_targets(assembler, "kill");
    refuse_other_targets(assembler, "tgkill");
  }
  assembler.begin_call("prctl", 5);
  assembler.load_argument(0);
  assembler.jump(BPF_JEQ, PR_SET_NAME, 2, 0);
  assembler.jump(BPF_JEQ, PR_GET_NAME, 1, 0);
  assembler.give(kRefuse);
  assembler.give(SECCOMP_RET_ALLOW);

  assembler.begin_call("prlimit64", 6);  // a null pointer to new limits: only read
  assembler.load_argument(2);
  assembler.jump(BPF_JEQ, 0, 0, 2);
  assembler.load_argument_high(2);
  assembler.jump(BPF_JEQ, 0, 1, 0);
  assembler.give(kRefuse);
  assembler.give(SECCOMP_RET_ALLOW);

  for (const std::string_view name : zygote_calls()) {
    const bool makes_process = name == "fork" || name == "vfork";
    if (!one && makes_process) continue;
    if (seccomp_syscall_resolve_name(std::string(name).c_str()) < 0) continue;  // fork and vfork on aarch64
    assembler.refuse(name, makes_process ? SECCOMP_RET_KILL_PROCESS : kRefuse);
  }
  for (const std::string_view name : mount_calls()) assembler.refuse(name, kRefuse);
  for (const std::string_view name : spec.refused) {
    if (seccomp_syscall_resolve_name(std::string(name).c_str()) >= 0) assembler.refuse(name, kRefuse);
  }
  return assembler.finish();
}

int call_number(std::string_view name) {
  const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
  if (number < 0) {
    throw Error(ErrorKind::kEnvironment, fmt::format("no number for the system call {}", name),
                "sandbox: seccomp");
  }
  return number;
}

std::string call_name(int number) {
  char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
  if (name == nullptr) return fmt::format("call {}", number);
  std::string text = name;
  free(name);
  return text;
}

}  // namespace fathom::sandbox
