#include "http/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <utility>

#include "http/refusal.h"

namespace vl3::http {
namespace {

namespace asio = boost::asio;
using Socket = asio::ip::tcp::socket;

constexpr size_t kBufferBytes = 16 << 10;
// What a client may send ahead of the answer to what it sent before.
constexpr size_t kMaxAhead = 64 << 10;

HeadLimits head_limits(const ServerOptions& options) {
  return {options.max_head_bytes, options.max_target_bytes};
}

}  // namespace

Core::Core(ServerOptions server_options, Server::Admit server_admit, Server::Handle server_handle)
    : io(1),
      options(std::move(server_options)),
      admit(std::move(server_admit)),
      handle(std::move(server_handle)),
      mailbox(std::make_shared<Mailbox>(io)),
      random_(std::random_device{}() ^ uint64_t{std::random_device{}()} << 32) {}

std::string Core::date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_of_ || date_.empty()) {
    date_ = http_date(now);
    date_of_ = now;
  }
  return date_;
}

std::string Core::make_request_id() { return fmt::format("req-{:016x}{:016x}", random_(), random_()); }

void Core::add(const std::shared_ptr<Connection>& connection) {
  open[connection.get()] = connection;
  num_open = open.size();
}

void Core::remove(const Connection& connection) {
  open.erase(&connection);
  num_open = open.size();
  if (draining && open.empty()) io.stop();
}

Connection::Clock::time_point too_slow_at(Connection::Clock::time_point began, uint64_t bytes,
                                          std::chrono::milliseconds patience) {
  const auto whole = began + patience + std::chrono::milliseconds(bytes * 1000 / 1024);
  return std::min(whole, Connection::Clock::now() + patience);
}

Connection::Connection(Core& core, std::unique_ptr<Transport> transport, std::string peer)
    : core_(core),
      transport_(std::move(transport)),
      peer_(std::move(peer)),
      timer_(core.io),
      write_timer_(core.io),
      phase_began_(Clock::now()),
      buffer_(kBufferBytes) {}

void Connection::start() {
  core_.add(shared_from_this());
  wait(Clock::now() + core_.options.head_timeout);
  transport_->begin([self = shared_from_this()](const Code& code, size_t) {
    if (self->phase_ == Phase::kClosed) return;
    if (code) return self->close();
    self->next_request();
  });
}

void Connection::enter(Phase phase) {
  phase_ = phase;
  phase_began_ = Clock::now();
}

void Connection::next_request() {
  if (core_.draining && input_.empty()) return close();
  parser_ = std::make_unique<RequestParser>(head_limits(core_.options), core_.options.max_body_bytes);
  head_ = {};
  exchange_ = nullptr;
  status_ = 0;
  body_bytes_ = reply_bytes_ = 0;
  in_request_ = begun_ = finished_ = chunked_ = close_after_ = false;
  enter(Phase::kIdle);
  wait(Clock::now() + core_.options.idle_timeout);
  process();
}

// Also while an answer is made: that is how a client is seen to go away.
void Connection::read() {
  if (reading_ || peer_done_ || phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kAnswer && input_.size() >= kMaxAhead) return;
  reading_ = true;
  transport_->read_some(asio::buffer(buffer_), [self = shared_from_this()](const Code& code, size_t bytes) {
    self->reading_ = false;
    self->on_read(code, bytes);
  });
}

void Connection::on_read(const Code& code, size_t bytes) {
  if (phase_ == Phase::kClosed) return;
  if (code) return on_end(code);
  if (phase_ == Phase::kLinger) {
    wait(std::min(Clock::now() + std::chrono::seconds(2), phase_began_ + std::chrono::seconds(10)));
    return read();
  }
  input_.append(buffer_.data(), bytes);
  process();
}

// The client sends nothing more: it is gone, or has shut down its side alone and waits for the answer.
void Connection::on_end(const Code& code) {
  peer_done_ = true;
  const bool half = code == asio::error::eof && !transport_->encrypted();
  switch (phase_) {
    case Phase::kHead:
    case Phase::kBody:
      if (!half) return close();
      return refuse({400, "malformed_request", "The request ends before it is complete."});
    case Phase::kAnswer:
      if (!half || parser_->minor_version() == 0) return gone();
      return probe();
    default:
      return close();
  }
}

// Whether the client is gone, or has shut down its side alone, shows when something is sent: the former is
// answered with a reset. An interim response is what every client reads over.
void Connection::probe() {
  if (!begun_) queue("HTTP/1.1 100 Continue\r\n\r\n", 0);
  transport_->socket().async_wait(Socket::wait_error, [self = shared_from_this()](const Code& code) {
    if (!code && self->phase_ == Phase::kAnswer) self->gone();
  });
}

void Connection::process() {
  while (take_input()) {
  }
  const bool incomplete = phase_ == Phase::kHead || phase_ == Phase::kBody;
  if (peer_done_ && phase_ == Phase::kIdle) return close();
  if (peer_done_ && incomplete)
    return refuse({400, "malformed_request", "The request ends before it is complete."});
  if (phase_ != Phase::kClosed && phase_ != Phase::kLinger) read();
}

// One thing at a time of what came; false: there is nothing to do before more comes, or something is
// answered.
bool Connection::take_input() {
  if (phase_ != Phase::kIdle && phase_ != Phase::kHead && phase_ != Phase::kBody) return false;
  const uint64_t body = parser_->request().body.size();
  const size_t taken = parser_->feed(input_);
  input_.erase(0, taken);
  if (phase_ == Phase::kIdle && parser_->begun()) {
    enter(Phase::kHead);
    began_ = phase_began_;
    in_request_ = true;
    wait(began_ + core_.options.head_timeout);
  }
  if (parser_->state() == RequestParser::State::kWrong) return refuse(parser_->wrong()), false;
  if (phase_ == Phase::kBody) {
    took_body(parser_->request().body.size() - body);
    if (phase_ != Phase::kBody) return false;
    if (parser_->state() == RequestParser::State::kDone) return hand_over(), false;
  } else if (parser_->state() == RequestParser::State::kAdmission) {
    admit();
    return phase_ == Phase::kBody && !input_.empty();
  }
  return taken > 0 && !input_.empty();
}

void Connection::admit() {
  Request& request = parser_->request();
  request.peer = peer_;
  request.encrypted = transport_->encrypted();
  const std::string* id = request.fields.find("x-request-id");
  request.id = id != nullptr && is_sane_request_id(*id) ? *id : core_.make_request_id();
  head_ = request;
  if (std::optional<Reply> refusal = core_.admit(request)) {
    // A short body is read over, so that the connection can go on; for a long one the client need not wait.
    parser_->skip_body();
    if (parser_->state() == RequestParser::State::kBody) input_.erase(0, parser_->feed(input_));
    close_after_ = parser_->state() != RequestParser::State::kDone;
    enter(Phase::kAnswer);
    timer_.cancel();
    return send_reply(*refusal);
  }
  parser_->begin_body();
  if (parser_->state() == RequestParser::State::kWrong) return refuse(parser_->wrong());
  if (parser_->state() == RequestParser::State::kDone) return hand_over();
  enter(Phase::kBody);
  took_body(0);
  if (parser_->expects_continue() && input_.empty()) queue("HTTP/1.1 100 Continue\r\n\r\n", 0);
}

void Connection::took_body(uint64_t bytes) {
  body_bytes_ += bytes;
  counted_bytes_ += bytes;
  core_.bodies_bytes += bytes;
  if (core_.bodies_bytes > std::max(core_.options.max_bodies_bytes, core_.options.max_body_bytes))
    return refuse({503, "overloaded", "Too much is being received at once; try again later."});
  wait(too_slow_at(phase_began_, body_bytes_, core_.options.body_timeout));
}

void Connection::hand_over() {
  core_.bodies_bytes -= std::exchange(counted_bytes_, 0);
  enter(Phase::kAnswer);
  timer_.cancel();
  exchange_ = std::make_shared<ExchangeState>(core_.mailbox, weak_from_this());
  try {
    core_.handle(std::move(parser_->request()), make_exchange(exchange_));
  } catch (const std::exception&) {
    exchange_ = nullptr;
    send_reply(refusal(500, "internal_error", "The server could not answer this request."));
  }
}

void Connection::refuse(const Wrong& wrong) {
  core_.bodies_bytes -= std::exchange(counted_bytes_, 0);
  if (head_.id.empty()) {
    const Request& request = parser_->request();
    head_.method = request.method;
    head_.path = request.path;
    head_.peer = peer_;
    head_.encrypted = transport_->encrypted();
    head_.id = core_.make_request_id();
  }
  close_after_ = true;
  enter(Phase::kAnswer);
  timer_.cancel();
  Reply reply = refusal(wrong.status, wrong.code, wrong.message);
  if (wrong.status == 503) reply.fields.add("retry-after", "1");
  send_reply(reply);
}

void Connection::wait(Clock::time_point until) {
  timer_.expires_at(until);
  timer_.async_wait([self = shared_from_this()](const Code& code) {
    if (!code && self->timer_.expiry() <= Clock::now()) self->on_timeout();
  });
}

void Connection::on_timeout() {
  switch (phase_) {
    case Phase::kHead:
      return refuse({408, "request_timeout", "The request's header did not come in time."});
    case Phase::kBody:
      return refuse({408, "request_timeout", "The request's body did not come in time."});
    case Phase::kAnswer:
    case Phase::kClosed:
      return;
    default:
      return close();
  }
}

}  // namespace vl3::http
