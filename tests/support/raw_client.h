#pragma once
// A client that sends any bytes, for tests of a server on this machine.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace vl3::http {

class RawClient {
 public:
  explicit RawClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  // False where the server does not take it any more.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void end_writing() const { shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  int socket() const { return socket_; }

  // What comes until `until` is in it, the server closes, or the time is up; ended() says whether it closed.
  std::string read(std::string_view until = "\x01never", double patience_s = 30) {
    std::string got;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience_s);
    while (got.find(until) == std::string::npos) {
      const auto left = deadline - std::chrono::steady_clock::now();
      const int left_ms =
          static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
      pollfd wait{socket_, POLLIN, 0};
      if (left_ms <= 0 || poll(&wait, 1, left_ms) <= 0) break;
      char buffer[65536];
      const ssize_t bytes = recv(socket_, buffer, sizeof buffer, 0);
      if (bytes <= 0) {
        ended_ = true;
        break;
      }
      got.append(buffer, static_cast<size_t>(bytes));
    }
    return got;
  }
  bool ended() const { return ended_; }
  std::string ask(std::string_view bytes, std::string_view until = "\x01never", double patience_s = 30) {
    send(bytes);
    return read(until, patience_s);
  }

 private:
  int socket_;
  bool connected_ = false, ended_ = false;
};

// "200" of "HTTP/1.1 200 OK…"; "" where that is no reply.
inline std::string status_of(std::string_view reply) {
  return reply.starts_with("HTTP/1.1 ") && reply.size() > 12 ? std::string(reply.substr(9, 3)) : "";
}

inline size_t times(std::string_view text, std::string_view part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

}  // namespace vl3::http
