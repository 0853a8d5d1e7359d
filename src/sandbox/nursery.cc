#include "sandbox/nursery.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <system_error>

#include "base/check.h"
#include "sandbox/worker.h"

namespace vl3::sandbox {
namespace {

constexpr int kAnswer_ms = 10'000;      // of an order, which takes a millisecond
constexpr int kTries = 5;               // of starting who forks: it may be killed again while it starts
constexpr timeval kSendTimeout{10, 0};  // a decoder that does not read what it is sent is given up

std::pair<Fd, Fd> socket_pair(int type) {
  int ends[2];
  require(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0, ErrorCode::kIo,
          "[sandbox] no socket for a decoder: {}", std::generic_category().message(errno));
  return {Fd(ends[0]), Fd(ends[1])};
}

// A decoder needs nothing of the environment but where its libraries lie, and what sanitizers are told.
std::vector<std::string> small_environment() {
  std::vector<std::string> variables;
  for (const char* name : {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"})
    if (const char* value = std::getenv(name)) variables.push_back(std::string(name) + "=" + value);
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Nursery::~Nursery() { stop(); }

void Nursery::start() {
  auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
  std::vector<std::string> words = command_, variables = small_environment();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), kOrders);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int error = ::posix_spawn(&process_, words[0].c_str(), &actions, &attributes, pointers(words).data(),
                                  pointers(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) process_ = -1;
  require(error == 0, ErrorCode::kIo, "[sandbox] {} cannot be started: {}", words[0],
          std::generic_category().message(error));
  orders_ = std::move(ours);
}

void Nursery::stop() noexcept {
  orders_ = Fd();
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);  // its children die with it
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) continue;
  process_ = -1;
}

// Nothing when the process is gone or hangs.
std::optional<int32_t> Nursery::ask(const void* order, size_t bytes, int fd) {
  OrderResult result;
  if (!orders_ || !send_packet(orders_.get(), order, bytes, fd) ||
      !receive_packet(orders_.get(), &result, sizeof result, nullptr, kAnswer_ms)) {
    stop();
    return {};
  }
  return result.value;
}

Decoder Nursery::make(bool* restarted) {
  auto [ours, theirs] = socket_pair(SOCK_STREAM);
  ::setsockopt(ours.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  const std::lock_guard lock(mutex_);
  const Order order{OrderKind::kFork, 0};
  std::optional<int32_t> child;
  for (int tries = 0; tries < kTries && !child; ++tries) {
    if (!orders_) {
      start();
      *restarted = starts_ > 0;
      ++starts_;
    }
    child = ask(&order, sizeof order, theirs.get());
  }
  require(child.has_value(), ErrorCode::kIo, "[sandbox] the process that makes decoders dies when it starts");
  require(*child > 0, ErrorCode::kIo, "[sandbox] no process for a decoder: {}",
          std::generic_category().message(-*child));
  return {*child, std::move(ours), starts_};
}

std::optional<int> Nursery::end(Decoder decoder) {
  decoder.socket = Fd();
  const std::lock_guard lock(mutex_);
  // Whose maker is gone died with it: its number is nobody's, or by now that of another process.
  if (!orders_ || decoder.of_start != starts_) return {};
  const Order order{OrderKind::kEnd, decoder.number};
  const std::optional<int32_t> status = ask(&order, sizeof order, -1);
  return status && *status >= 0 ? std::optional<int>(*status) : std::nullopt;
}

}  // namespace vl3::sandbox
