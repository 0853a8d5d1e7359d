#pragma once
// One connection: requests in, answers out, in order, and how long each may take. On the server's thread.

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "http/exchange.h"
#include "http/reply_text.h"
#include "http/request_parser.h"
#include "http/server.h"
#include "http/transport.h"

namespace vl3::http {

class Connection;

// What the connections of a server share. On its thread, but for what says otherwise.
struct Core {
  Core(ServerOptions server_options, Server::Admit server_admit, Server::Handle server_handle);
  std::string date();             // of now, as replies tell it
  std::string make_request_id();  // another one every time
  void add(const std::shared_ptr<Connection>& connection);
  void remove(const Connection& connection);

  boost::asio::io_context io;
  const ServerOptions options;
  const Server::Admit admit;
  const Server::Handle handle;
  const std::shared_ptr<Mailbox> mailbox;
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> open;
  std::atomic<size_t> num_open{0};  // of any thread
  uint64_t bodies_bytes = 0;        // of all bodies that are being read
  bool draining = false;

 private:
  std::mt19937_64 random_;
  std::time_t date_of_ = 0;
  std::string date_;
};

class Connection final : public AnswerSink, public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;
  Connection(Core& core, std::unique_ptr<Transport> transport, std::string peer);
  void start();
  void cut();  // at once; whoever computes an answer is told
  // Between requests: it can be closed without anybody missing anything.
  bool idle() const noexcept { return phase_ == Phase::kIdle; }
  // No whole header of a request has come: it can give way to others.
  bool waiting() const noexcept {
    return phase_ == Phase::kIdle || phase_ == Phase::kHandshake || phase_ == Phase::kHead;
  }
  Clock::time_point since() const noexcept { return phase_began_; }

  void answer(const ExchangeState& state, Reply reply) override;
  void begin_answer(const ExchangeState& state, int status, Fields fields) override;
  void write_answer(const ExchangeState& state, std::string piece) override;
  void finish_answer(const ExchangeState& state) override;
  void drop_answer(const ExchangeState& state) override;

 private:
  using Code = boost::system::error_code;
  enum class Phase : uint8_t { kHandshake, kIdle, kHead, kBody, kAnswer, kLinger, kClosed };

  // Requests: connection.cc.
  void enter(Phase phase);
  void next_request();
  void read();
  void on_read(const Code& code, size_t bytes);
  void on_end(const Code& code);
  void process();
  bool take_input();
  void admit();
  void took_body(uint64_t bytes);
  void hand_over();
  void refuse(const Wrong& wrong);
  void wait(Clock::time_point until);
  void on_timeout();
  void probe();

  // Answers: connection_answer.cc.
  bool is_current(const ExchangeState& state) const;
  bool head_only() const { return head_.method == "HEAD"; }
  void send_reply(const Reply& reply);
  void send_head(int status, const Fields& fields, std::optional<uint64_t> length);
  void queue(std::string bytes, size_t payload);
  void write();
  void on_write(const Code& code, size_t bytes);
  void reply_done();
  void linger();
  void gone();
  void close();
  void tell(bool cut_off);

  Core& core_;
  const std::unique_ptr<Transport> transport_;
  const std::string peer_;
  boost::asio::steady_timer timer_, write_timer_;
  Phase phase_ = Phase::kHandshake;
  Clock::time_point phase_began_;

  std::vector<char> buffer_;
  std::string input_;  // bytes that came and belong to nothing yet
  bool reading_ = false;
  bool peer_done_ = false;  // it will send nothing more
  std::unique_ptr<RequestParser> parser_;
  uint64_t body_bytes_ = 0;     // of this request, so far
  uint64_t counted_bytes_ = 0;  // of them, in core_.bodies_bytes

  Head head_;                // of the request that is being answered
  Clock::time_point began_;  // its first byte
  bool in_request_ = false;
  std::shared_ptr<ExchangeState> exchange_;  // null where the server answers by itself
  int status_ = 0;
  uint64_t reply_bytes_ = 0;
  bool begun_ = false, finished_ = false, chunked_ = false, close_after_ = false;

  std::string out_, writing_;
  size_t written_ = 0, out_payload_ = 0, writing_payload_ = 0;
  bool is_writing_ = false;
  Clock::time_point write_began_;
};

// When what began then and moved so many bytes so far is too slow: nothing for `patience`, or less on the
// whole than a kibibyte a second.
Connection::Clock::time_point too_slow_at(Connection::Clock::time_point began, uint64_t bytes,
                                          std::chrono::milliseconds patience);

}  // namespace vl3::http
