#include <boost/asio/error.hpp>
#include <utility>

#include "http/connection.h"
#include "http/refusal.h"

namespace vl3::http {
namespace {

namespace asio = boost::asio;

}  // namespace

bool Connection::is_current(const ExchangeState& state) const {
  return phase_ == Phase::kAnswer && exchange_.get() == &state && !finished_;
}

void Connection::answer(const ExchangeState& state, Reply reply) {
  if (is_current(state)) send_reply(reply);
}

void Connection::begin_answer(const ExchangeState& state, int status, Fields fields) {
  if (is_current(state)) send_head(status, fields, std::nullopt);
}

void Connection::write_answer(const ExchangeState& state, std::string piece) {
  if (!is_current(state)) return;
  const size_t bytes = piece.size();
  if (head_only()) {
    exchange_->unsent -= bytes;
    return;
  }
  reply_bytes_ += bytes;
  queue(chunked_ ? chunk_text(piece) : std::move(piece), bytes);
  if (phase_ == Phase::kAnswer && out_payload_ + writing_payload_ > core_.options.max_unsent_bytes) gone();
}

void Connection::finish_answer(const ExchangeState& state) {
  if (!is_current(state)) return;
  finished_ = true;
  if (chunked_) return queue(kLastChunk, 0);
  if (!is_writing_) reply_done();
}

void Connection::drop_answer(const ExchangeState& state) {
  if (!is_current(state)) return;
  // A reply that was begun cannot be taken back: without its end the client sees that it is no whole one.
  if (begun_) return gone();
  send_reply(refusal(500, "internal_error", "The server could not answer this request."));
}

void Connection::send_reply(const Reply& reply) {
  finished_ = true;
  send_head(reply.status, reply.fields, reply.body.size());
  const bool without = head_only() || reply.status == 204 || reply.status == 304;
  if (without || reply.body.empty()) return;
  reply_bytes_ = reply.body.size();
  queue(reply.body, 0);
}

void Connection::send_head(int status, const Fields& fields, std::optional<uint64_t> length) {
  begun_ = true;
  status_ = status;
  const bool old = parser_->minor_version() == 0;
  chunked_ = !length && !old && !head_only();
  close_after_ = close_after_ || core_.draining || (peer_done_ && input_.empty()) || !parser_->keep_alive() ||
                 (!length && old);
  ReplyFrame frame;
  frame.date = core_.date();
  frame.request_id = head_.id;
  frame.close = close_after_;
  frame.keep_alive = old && !close_after_;
  frame.chunked = !length && !old;
  frame.length = length;
  frame.every_reply = &core_.options.every_reply;
  queue(head_text(status, fields, frame), 0);
}

void Connection::queue(std::string bytes, size_t payload) {
  if (phase_ == Phase::kClosed) return;
  if (out_.empty())
    out_ = std::move(bytes);
  else
    out_ += bytes;
  out_payload_ += payload;
  if (is_writing_) return;
  // What is queued in the same turn goes out together.
  is_writing_ = true;
  asio::post(core_.io, [self = shared_from_this()] {
    self->is_writing_ = false;
    self->write();
  });
}

void Connection::write() {
  if (phase_ == Phase::kClosed || is_writing_) return;
  if (written_ == writing_.size()) {
    writing_ = std::exchange(out_, {});
    writing_payload_ = std::exchange(out_payload_, 0);
    written_ = 0;
    write_began_ = Clock::now();
  }
  if (writing_.empty()) {
    if (finished_ && phase_ == Phase::kAnswer) reply_done();
    return;
  }
  is_writing_ = true;
  write_timer_.expires_at(too_slow_at(write_began_, written_, core_.options.write_timeout));
  write_timer_.async_wait([self = shared_from_this()](const Code& code) {
    if (!code && self->is_writing_ && self->write_timer_.expiry() <= Clock::now()) self->gone();
  });
  transport_->write_some(asio::buffer(writing_.data() + written_, writing_.size() - written_),
                         [self = shared_from_this()](const Code& code, size_t bytes) {
                           self->is_writing_ = false;
                           self->on_write(code, bytes);
                         });
}

void Connection::on_write(const Code& code, size_t bytes) {
  if (phase_ == Phase::kClosed) return;
  write_timer_.cancel();
  if (code) return gone();
  written_ += bytes;
  // Frames of chunks are in writing_ as well: what is left over is taken off with the last byte.
  const size_t payload = written_ == writing_.size() ? writing_payload_ : std::min(bytes, writing_payload_);
  writing_payload_ -= payload;
  if (exchange_ != nullptr) exchange_->unsent -= payload;
  write();
}

void Connection::reply_done() {
  tell(false);
  exchange_ = nullptr;
  if (close_after_ || core_.draining) return linger();
  next_request();
}

// The client should read the reply before the connection is reset, and it is reset where bytes came that
// nobody read: they are read until the client closes, for some seconds.
void Connection::linger() {
  enter(Phase::kLinger);
  input_.clear();
  const bool whole = parser_->state() == RequestParser::State::kDone;
  wait(Clock::now() + std::chrono::seconds(core_.draining ? 1 : 2));
  if (!transport_->encrypted() || whole) {
    const bool closes = transport_->encrypted() || peer_done_;
    transport_->end_writing([self = shared_from_this(), closes](const Code&, size_t) {
      if (closes) self->close();
    });
    if (closes) return;
  }
  read();
}

void Connection::gone() {
  if (phase_ == Phase::kClosed) return;
  tell(true);
  close();
}

void Connection::cut() { gone(); }

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  const std::shared_ptr<Connection> self = shared_from_this();
  tell(true);
  enter(Phase::kClosed);
  timer_.cancel();
  write_timer_.cancel();
  core_.bodies_bytes -= std::exchange(counted_bytes_, 0);
  Code ignored;
  transport_->socket().close(ignored);
  const std::shared_ptr<ExchangeState> exchange = std::exchange(exchange_, nullptr);
  core_.remove(*this);
  if (exchange != nullptr) exchange->leave();
}

void Connection::tell(bool cut_off) {
  if (!std::exchange(in_request_, false) || !core_.options.served) return;
  Served served;
  served.head = head_;
  if (served.head.peer.empty()) served.head.peer = peer_;
  served.status = status_;
  served.body_bytes = body_bytes_;
  served.reply_bytes = reply_bytes_;
  served.seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  served.cut_off = cut_off;
  core_.options.served(served);
}

}  // namespace vl3::http
