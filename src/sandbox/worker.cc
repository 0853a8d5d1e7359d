#include "sandbox/worker.h"

#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/check.h"
#include "sandbox/child.h"
#include "sandbox/confine.h"

namespace vl3::sandbox {
namespace {

constexpr uid_t kNobody = 65534;

// Alone with the orders: whatever the program had open is none of a decoder's business.
void leave_everything() {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  ::syscall(SYS_close_range, kOrders + 1, ~0U, 0);
  ::fcntl(kOrders, F_SETFD, FD_CLOEXEC);
  ::setsid();  // Ctrl-C at the program's terminal is the program's to handle
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_IGN);
  [[maybe_unused]] int moved = ::chdir("/");
  if (::geteuid() == 0) {  // where that is not possible it stays as it is: the filter counts
    moved = ::setgroups(0, nullptr);
    moved = ::setresgid(kNobody, kNobody, kNobody);
    moved = ::setresuid(kNobody, kNobody, kNobody);
  }
  ::mallopt(M_ARENA_MAX, 2);  // arenas take addresses, which are limited
}

int32_t fork_child(Fd socket, const Filter& filter,
                   const std::function<void(const std::string&)>& before_decoding) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return -errno;
  if (child > 0) return child;
  ::close(kOrders);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
  ::_exit(do_one_job(socket.get(), filter, before_decoding));
}

int32_t end_child(pid_t child) {
  int status = 0;
  ::kill(child, SIGKILL);  // an exit that has begun keeps its own status
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -errno;
  return status;
}

}  // namespace

bool send_packet(int socket, const void* packet, size_t bytes, int fd) {
  iovec part{const_cast<void*>(packet), bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent;
  do sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(bytes);
}

bool receive_packet(int socket, void* packet, size_t bytes, Fd* fd, int timeout_ms) {
  pollfd ready{socket, POLLIN, 0};
  int polled;
  do polled = ::poll(&ready, 1, timeout_ms);
  while (polled < 0 && errno == EINTR);
  if (polled <= 0) return false;
  iovec part{packet, bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  do got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (const cmsghdr* header = got >= 0 ? CMSG_FIRSTHDR(&message) : nullptr;
      header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int came;
    std::memcpy(&came, CMSG_DATA(header), sizeof came);
    Fd owned(came);
    if (fd != nullptr) *fd = std::move(owned);
  }
  return got == static_cast<ssize_t>(bytes);
}

int wait_for_orders(const std::function<void(const std::string& name)>& before_decoding) {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(kOrders, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    static constexpr char kWords[] = "videollama3: decode-worker is started by `videollama3 serve` alone\n";
    [[maybe_unused]] const ssize_t wrote = ::write(STDERR_FILENO, kWords, sizeof kWords - 1);
    return 2;
  }
  leave_everything();
  const Filter filter = make_filter();
  for (;;) {
    Order order;
    Fd socket;
    if (!receive_packet(kOrders, &order, sizeof order, &socket)) return 0;
    OrderResult result;
    result.value = order.kind == OrderKind::kFork ? fork_child(std::move(socket), filter, before_decoding)
                                                  : end_child(order.child);
    if (!send_packet(kOrders, &result, sizeof result)) return 0;
  }
}

}  // namespace vl3::sandbox
