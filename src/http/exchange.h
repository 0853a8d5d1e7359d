#pragma once
// The way of an answer from whatever thread makes it to the connection that sends it.

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "http/server.h"

namespace vl3::http {

// Runs things on the server's thread as long as there is a server.
class Mailbox {
 public:
  explicit Mailbox(boost::asio::io_context& io) : io_(&io) {}
  // False: the server is gone, and f is dropped.
  template <class F>
  bool post(F&& f) {
    const std::scoped_lock lock(mutex_);
    if (io_ == nullptr) return false;
    boost::asio::post(*io_, std::forward<F>(f));
    return true;
  }
  void close() {
    const std::scoped_lock lock(mutex_);
    io_ = nullptr;
  }

 private:
  std::mutex mutex_;
  boost::asio::io_context* io_;
};

struct ExchangeState;

// A connection, as answers see it. On the server's thread; what does not belong to the request that it is at
// is ignored.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void answer(const ExchangeState& state, Reply reply) = 0;
  virtual void begin_answer(const ExchangeState& state, int status, Fields fields) = 0;
  virtual void write_answer(const ExchangeState& state, std::string piece) = 0;
  virtual void finish_answer(const ExchangeState& state) = 0;
  virtual void drop_answer(const ExchangeState& state) = 0;  // nobody is left who could finish it
};

// What the connection and the answer's maker share.
struct ExchangeState {
  ExchangeState(std::shared_ptr<Mailbox> server_mailbox, std::weak_ptr<AnswerSink> connection)
      : mailbox(std::move(server_mailbox)), sink(std::move(connection)) {}
  const std::shared_ptr<Mailbox> mailbox;
  const std::weak_ptr<AnswerSink> sink;  // locked on the server's thread alone, where it may end
  std::atomic<bool> begun{false}, finished{false}, gone{false};
  std::atomic<size_t> unsent{0};
  std::vector<std::function<void()>> when_gone;  // of the server's thread

  void leave();  // nobody will read the answer; on the server's thread
};

std::shared_ptr<Exchange> make_exchange(std::shared_ptr<ExchangeState> state);

}  // namespace vl3::http
