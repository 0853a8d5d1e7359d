#pragma once
// A host of the web for tests: answers what it is told to, byte for byte, on a port of 127.0.0.1.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace vl3::test {

class WebHost {
 public:
  // Writes to a client; false when it went away.
  using Say = std::function<bool(const std::string&)>;
  // What to say to a request for this target, on a thread of the connection's own.
  using Answer = std::function<void(const std::string& target, const Say& say)>;
  enum class Told { kTarget, kHead };  // kHead: the answer gets the whole head in place of the target

  explicit WebHost(Answer answer, Told told = Told::kTarget) : answer_(std::move(answer)), told_(told) {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(listening_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listening_, 64);
    ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~WebHost() {
    stopping_ = true;
    ::shutdown(listening_, SHUT_RDWR);
    accepting_.join();
    ::close(listening_);
    for (std::thread& thread : serving_) thread.join();
  }

  std::string url(const std::string& target) const {
    return "http://127.0.0.1:" + std::to_string(port_) + target;
  }
  uint16_t port() const { return port_; }
  bool stopping() const { return stopping_; }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  static std::string reply(const std::string& body, const std::string& fields = "",
                           const std::string& status = "200 OK") {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\nConnection: close\r\n" + fields + "\r\n" + body;
  }

 private:
  void accept_all() {
    for (;;) {
      const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      serving_.emplace_back([this, client] { serve(client); });
    }
  }
  void serve(int client) {
    std::string head;
    char piece[4096];
    while (head.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(client, piece, sizeof piece, 0);
      if (got <= 0) break;
      head.append(piece, static_cast<size_t>(got));
    }
    if (!head.empty()) {
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(head);
      }
      const size_t from = head.find(' ') + 1;
      const std::string target = head.substr(from, head.find(' ', from) - from);
      answer_(told_ == Told::kHead ? head : target, [&](const std::string& bytes) {
        size_t sent = 0;
        while (sent < bytes.size()) {
          const ssize_t count = ::send(client, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
          if (count <= 0) return false;
          sent += static_cast<size_t>(count);
        }
        return !stopping_;
      });
    }
    ::shutdown(client, SHUT_WR);
    ::close(client);
  }

  Answer answer_;
  Told told_;
  int listening_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::vector<std::thread> serving_;
  std::thread accepting_;
};

}  // namespace vl3::test
