#pragma once
// An HTTP/1.1 server, with TLS or without: connections, framing, limits and timeouts. What is asked and
// answered is not its business.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/message.h"

namespace vl3::http {

// The answer to one request. Thread-safe; may outlive the connection and the server, and does nothing then.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // The whole answer at once; the first of send() and begin() counts.
  virtual void send(Reply reply) = 0;
  // An answer in pieces (chunked): begin, any number of writes, finish. write() only queues.
  virtual void begin(int status, Fields fields) = 0;
  virtual void write(std::string piece) = 0;
  virtual void finish() = 0;
  // Bytes that were written and not yet taken by the client's side.
  virtual size_t unsent() const = 0;
  // The client went away, or was cut off because it was too slow: nobody will read an answer.
  virtual bool gone() const = 0;
  // Called once, on the server's thread, when that happens; at once where it has.
  virtual void when_gone(std::function<void()> then) = 0;
};

// "::1" of "[::1]"; any other host as it is.
std::string bare_host(const std::string& host);

// One request and how it was answered, for logs and counters.
struct Served {
  Head head;       // of a request that could not be parsed, what was: all may be empty
  int status = 0;  // 0: nothing was answered, the client went away before
  uint64_t body_bytes = 0, reply_bytes = 0;  // without heads; of a reply what was given to the system
  double seconds = 0;                        // from the request's first byte to the reply's last
  bool cut_off = false;                      // the client went away, or was too slow, before the end
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;        // 0: any that is free
  std::vector<int> listening;  // sockets that listen already (socket activation); host and port are unused
  std::filesystem::path tls_certificate, tls_key;  // both or none
  uint64_t max_body_bytes = uint64_t{64} << 20;
  uint32_t max_head_bytes = 16 << 10;
  uint32_t max_target_bytes = 8 << 10;  // of the path with its query
  // When there are more, the one that has waited longest without a whole header is closed; with none, new
  // ones are turned away with 503.
  size_t max_connections = 1024;
  std::chrono::milliseconds head_timeout{10'000};   // from its first byte to its last
  std::chrono::milliseconds body_timeout{30'000};   // without a byte of it
  std::chrono::milliseconds idle_timeout{60'000};   // between requests of a connection
  std::chrono::milliseconds write_timeout{30'000};  // without a byte taken by the client
  size_t max_unsent_bytes = size_t{8} << 20;        // of a streamed answer, or the client is cut off
  // Of all bodies that are being read: more are refused with 503. One of max_body_bytes always has room.
  uint64_t max_bodies_bytes = uint64_t{1} << 30;
  Fields every_reply;  // fields of every reply that has no such field itself, names in lower case
  // Told of every request that was answered, also by the server itself, on its thread. Must not block.
  std::function<void(const Served&)> served;
};

class Server {
 public:
  // Asked when a head was read, before its body: an answer refuses the request. Must not block.
  using Admit = std::function<std::optional<Reply>(const Head&)>;
  // Must not block: work is done elsewhere and answered through the exchange.
  using Handle = std::function<void(Request, std::shared_ptr<Exchange>)>;

  // Listens from here on. Throws kInvalidArgument, naming host and port, or the certificate's file.
  Server(ServerOptions options, Admit admit, Handle handle);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  void run();  // serves, on this thread, until stop() or until drain() has nothing left to wait for
  // No new connections; idle ones are closed, others after their answer. Thread-safe, as the next two.
  void drain();
  void stop();                 // cuts off what is under way
  size_t connections() const;  // that are open; thread-safe
  void reload_certificate();   // throws what the constructor throws, and keeps the old one then

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vl3::http
