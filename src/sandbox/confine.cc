#include "sandbox/confine.h"

#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <system_error>

#include "base/check.h"

namespace vl3::sandbox {
namespace {

constexpr rlim_t kOpenFiles = 1024;  // what was handed over; the filter lets it open none
constexpr rlim_t kThreads = 4096;    // of everything that runs as this user, which is how the kernel counts

constexpr int kAllowed[] = {SCMP_SYS(read),
                            SCMP_SYS(readv),
                            SCMP_SYS(pread64),
                            SCMP_SYS(preadv),
                            SCMP_SYS(lseek),
                            SCMP_SYS(write),
                            SCMP_SYS(writev),
                            SCMP_SYS(close),
                            SCMP_SYS(fstat),
                            SCMP_SYS(sendmsg),
                            SCMP_SYS(recvmsg),
                            SCMP_SYS(recvfrom),
                            SCMP_SYS(poll),
                            SCMP_SYS(ppoll),
                            SCMP_SYS(munmap),
                            SCMP_SYS(mremap),
                            SCMP_SYS(madvise),
                            SCMP_SYS(brk),
                            SCMP_SYS(futex),
                            SCMP_SYS(futex_waitv),
                            SCMP_SYS(set_robust_list),
                            SCMP_SYS(rseq),
                            SCMP_SYS(set_tid_address),
                            SCMP_SYS(gettid),
                            SCMP_SYS(getpid),
                            SCMP_SYS(sched_yield),
                            SCMP_SYS(sched_getaffinity),
                            SCMP_SYS(rt_sigaction),
                            SCMP_SYS(rt_sigprocmask),
                            SCMP_SYS(rt_sigreturn),
                            SCMP_SYS(sigaltstack),
                            SCMP_SYS(restart_syscall),
                            SCMP_SYS(exit),
                            SCMP_SYS(exit_group),
                            SCMP_SYS(clock_gettime),
                            SCMP_SYS(clock_getres),
                            SCMP_SYS(clock_nanosleep),
                            SCMP_SYS(nanosleep),
                            SCMP_SYS(gettimeofday),
                            SCMP_SYS(time),
                            SCMP_SYS(times),
                            SCMP_SYS(getrusage),
                            SCMP_SYS(sysinfo),
                            SCMP_SYS(getrandom),
                            SCMP_SYS(getcpu),
                            SCMP_SYS(membarrier)};

// Libraries try these and go on without.
constexpr int kNoPaths[] = {
    SCMP_SYS(open),     SCMP_SYS(openat),     SCMP_SYS(openat2),    SCMP_SYS(creat),
    SCMP_SYS(stat),     SCMP_SYS(lstat),      SCMP_SYS(newfstatat), SCMP_SYS(statx),
    SCMP_SYS(statfs),   SCMP_SYS(access),     SCMP_SYS(faccessat),  SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd),
    SCMP_SYS(mkdir),    SCMP_SYS(mkdirat),    SCMP_SYS(unlink),     SCMP_SYS(unlinkat),
    SCMP_SYS(rename),   SCMP_SYS(renameat),   SCMP_SYS(renameat2),  SCMP_SYS(link),
    SCMP_SYS(linkat),   SCMP_SYS(symlink),    SCMP_SYS(symlinkat),  SCMP_SYS(chmod),
    SCMP_SYS(fchmodat), SCMP_SYS(chown),      SCMP_SYS(fchownat),   SCMP_SYS(truncate)};

constexpr int kDeadly[] = {SCMP_SYS(socket),
                           SCMP_SYS(socketpair),
                           SCMP_SYS(connect),
                           SCMP_SYS(bind),
                           SCMP_SYS(listen),
                           SCMP_SYS(accept),
                           SCMP_SYS(accept4),
                           SCMP_SYS(execve),
                           SCMP_SYS(execveat),
                           SCMP_SYS(fork),
                           SCMP_SYS(vfork),
                           SCMP_SYS(ptrace),
                           SCMP_SYS(process_vm_readv),
                           SCMP_SYS(process_vm_writev),
                           SCMP_SYS(kill),
                           SCMP_SYS(tkill),
                           SCMP_SYS(tgkill),
                           SCMP_SYS(rt_sigqueueinfo),
                           SCMP_SYS(rt_tgsigqueueinfo),
                           SCMP_SYS(pidfd_open),
                           SCMP_SYS(pidfd_send_signal),
                           SCMP_SYS(pidfd_getfd),
                           SCMP_SYS(mount),
                           SCMP_SYS(umount2),
                           SCMP_SYS(pivot_root),
                           SCMP_SYS(chroot),
                           SCMP_SYS(chdir),
                           SCMP_SYS(setns),
                           SCMP_SYS(unshare),
                           SCMP_SYS(bpf),
                           SCMP_SYS(perf_event_open),
                           SCMP_SYS(userfaultfd),
                           SCMP_SYS(keyctl),
                           SCMP_SYS(add_key),
                           SCMP_SYS(request_key),
                           SCMP_SYS(io_uring_setup),
                           SCMP_SYS(io_uring_enter),
                           SCMP_SYS(io_uring_register),
                           SCMP_SYS(init_module),
                           SCMP_SYS(finit_module),
                           SCMP_SYS(delete_module),
                           SCMP_SYS(kexec_load),
                           SCMP_SYS(reboot),
                           SCMP_SYS(open_by_handle_at),
                           SCMP_SYS(setuid),
                           SCMP_SYS(setgid),
                           SCMP_SYS(setresuid),
                           SCMP_SYS(setresgid),
                           SCMP_SYS(setgroups),
                           SCMP_SYS(capset),
                           SCMP_SYS(personality),
                           SCMP_SYS(shmget),
                           SCMP_SYS(shmat),
                           SCMP_SYS(msgget),
                           SCMP_SYS(seccomp)};

void check(int result, std::string_view what) {
  require(result == 0, ErrorCode::kUnsupported, "[sandbox] {} is refused: {}", what,
          std::generic_category().message(result < 0 ? -result : result));
}

void add_rules(scmp_filter_ctx context) {
  const auto rule = [&](uint32_t action, int call) {
    // A call that this architecture does not have needs no rule.
    const int added = seccomp_rule_add(context, action, call, 0);
    if (added != -EDOM && added != -EINVAL) check(added, "a filter of system calls");
  };
  for (const int call : kAllowed) rule(SCMP_ACT_ALLOW, call);
#ifdef __SANITIZE_ADDRESS__  // whose companion for undefined behaviour asks a pipe what can be read
  rule(SCMP_ACT_ALLOW, SCMP_SYS(pipe2));
#endif
  for (const int call : kNoPaths) rule(SCMP_ACT_ERRNO(EACCES), call);
  for (const int call : kDeadly) rule(SCMP_ACT_KILL_PROCESS, call);
  // Memory that can be executed is never made.
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    const scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    check(seccomp_rule_add_array(context, SCMP_ACT_ALLOW, call, 1, &no_code), "a filter of mmap");
  }
  // Threads and no processes. clone3 hides its flags in memory: without it the C library takes clone.
  const scmp_arg_cmp thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM);
  check(seccomp_rule_add_array(context, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &thread), "a filter of clone");
  const scmp_arg_cmp process = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0);
  check(seccomp_rule_add_array(context, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1, &process),
        "a filter of clone");
  const scmp_arg_cmp name = SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME);
  check(seccomp_rule_add_array(context, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, &name), "a filter of prctl");
}

void limit(int what, rlim_t most, rlim_t beyond = 0) {
  rlimit before{};
  ::getrlimit(static_cast<__rlimit_resource>(what), &before);
  const rlim_t highest =
      before.rlim_max == RLIM_INFINITY ? most + beyond : std::min(most + beyond, before.rlim_max);
  const rlimit after{std::min(most, highest), highest};
  check(::setrlimit(static_cast<__rlimit_resource>(what), &after) == 0 ? 0 : errno, "a limit");
}

#ifndef __SANITIZE_ADDRESS__
// Bytes of addresses that this process takes by now.
uint64_t address_space() {
  unsigned long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  if (std::fscanf(file, "%lu", &pages) != 1) pages = 0;
  std::fclose(file);
  return uint64_t{pages} * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}
#endif

}  // namespace

Filter make_filter() {
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };
  const std::unique_ptr<void, Release> context(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)));
  require(context != nullptr, ErrorCode::kUnsupported, "[sandbox] no filter of system calls can be made");
  check(seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
        "a filter of architectures");
  add_rules(context.get());
  const int file = ::memfd_create("filter", MFD_CLOEXEC);
  check(file >= 0 ? 0 : errno, "memory for a filter");
  const int exported = seccomp_export_bpf(context.get(), file);
  const off_t bytes = ::lseek(file, 0, SEEK_END);
  Filter filter(static_cast<size_t>(bytes > 0 ? bytes : 0) / sizeof(sock_filter));
  const ssize_t got = ::pread(file, filter.data(), filter.size() * sizeof(sock_filter), 0);
  ::close(file);
  check(exported, "a filter of system calls");
  require(bytes > 0 && got == bytes, ErrorCode::kUnsupported,
          "[sandbox] a filter of system calls cannot be read");
  return filter;
}

void confine(const Confinement& limits, const Filter& filter) {
#ifndef __SANITIZE_ADDRESS__  // which takes terabytes of addresses
  limit(RLIMIT_AS, address_space() + limits.memory_bytes);
#endif
  // SIGXCPU says why, SIGKILL would not. They are seconds apart: a machine may count several at once.
  limit(RLIMIT_CPU, static_cast<rlim_t>(limits.cpu_s), 10);
  limit(RLIMIT_NOFILE, kOpenFiles);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NPROC, kThreads);
  check(::prctl(PR_SET_DUMPABLE, 0) == 0 ? 0 : errno, "being closed to debuggers");
  check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno, "giving up privileges");
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  check(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : errno, "a filter of system calls");
}

}  // namespace vl3::sandbox
