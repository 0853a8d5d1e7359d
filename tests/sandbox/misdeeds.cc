#include "sandbox/misdeeds.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

namespace vl3::sandbox {
namespace {

// A deed that is refused and survived crashes in another way than one that was let through.
[[noreturn]] void was_let_through() { ::_exit(77); }
void must_fail(long result, int error) {
  if (result >= 0 || errno != error) was_let_through();
}

[[noreturn]] void crash() { __builtin_trap(); }

void look_at_paths() {
  struct stat status {};
  must_fail(::open("/etc/passwd", O_RDONLY), EACCES);
  must_fail(::open("/tmp/vl3-made", O_WRONLY | O_CREAT, 0600), EACCES);
  must_fail(::stat("/etc/passwd", &status), EACCES);
  must_fail(::access("/etc/passwd", R_OK), EACCES);
  must_fail(::unlink("/tmp/vl3-made"), EACCES);
  must_fail(::syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", nullptr, 0), EACCES);
}

void make_code() {
  must_fail(reinterpret_cast<long>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
            ENOSYS);
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must_fail(::mprotect(page, 4096, PROT_READ | PROT_EXEC), ENOSYS);
}

void change_the_medium() {
  for (int fd = 3; fd < 64; ++fd) {
    char byte = 'x';
    if (::syscall(SYS_fcntl, fd, F_GETFL) >= 0) was_let_through();
    if (::syscall(SYS_pwrite64, fd, &byte, 1, 0) == 1) was_let_through();
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && ::write(fd, &byte, 1) == 1) was_let_through();
  }
}

void take_memory() {
  for (;;) {
    auto* block = new char[64 << 20];
    std::memset(block, 1, 64 << 20);
  }
}

}  // namespace

void do_misdeed(const std::string& name) {
  char program[] = "/bin/true";
  char* arguments[] = {program, nullptr};
  if (name == "crash") crash();
  if (name == "abort") std::abort();
  if (name == "exit") ::_exit(0);
  if (name == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
  if (name == "spin")
    for (std::atomic<int> i = 0;; ++i) continue;
  if (name == "memory") take_memory();
  if (name == "paths") look_at_paths();
  if (name == "code") make_code();
  if (name == "change") change_the_medium();
  if (name == "socket") ::socket(AF_INET, SOCK_STREAM, 0);
  if (name == "execve") ::execve(program, arguments, arguments + 1);
  if (name == "fork") ::syscall(SYS_fork);
  if (name == "clone") ::fork();
  if (name == "kill") ::kill(::getppid(), SIGTERM);
  if (name == "ptrace") ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  if (name == "unshare") ::syscall(SYS_unshare, 0x10000000);
  if (name == "io_uring") ::syscall(SYS_io_uring_setup, 1, nullptr);
  if (name == "garbage") {
    for (int fd = 3; fd < 64; ++fd) {
      const iovec part{program, sizeof program};
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(&part);
      message.msg_iovlen = 1;
      ::sendmsg(fd, &message, MSG_NOSIGNAL);
    }
  }
}

}  // namespace vl3::sandbox
