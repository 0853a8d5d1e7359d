#include "http/exchange.h"

namespace vl3::http {
namespace {

class SharedExchange final : public Exchange {
 public:
  explicit SharedExchange(std::shared_ptr<ExchangeState> state) : state_(std::move(state)) {}
  ~SharedExchange() override {
    if (!state_->finished.exchange(true))
      post([](AnswerSink& sink, const ExchangeState& state) { sink.drop_answer(state); });
  }

  void send(Reply reply) override {
    if (state_->begun.exchange(true)) return;
    state_->finished = true;
    post([reply = std::move(reply)](AnswerSink& sink, const ExchangeState& state) mutable {
      sink.answer(state, std::move(reply));
    });
  }

  void begin(int status, Fields fields) override {
    if (state_->begun.exchange(true)) return;
    post([status, fields = std::move(fields)](AnswerSink& sink, const ExchangeState& state) mutable {
      sink.begin_answer(state, status, std::move(fields));
    });
  }

  void write(std::string piece) override {
    if (!state_->begun || state_->finished || piece.empty() || state_->gone) return;
    state_->unsent += piece.size();
    post([piece = std::move(piece)](AnswerSink& sink, const ExchangeState& state) mutable {
      sink.write_answer(state, std::move(piece));
    });
  }

  void finish() override {
    if (!state_->begun || state_->finished.exchange(true)) return;
    post([](AnswerSink& sink, const ExchangeState& state) { sink.finish_answer(state); });
  }

  size_t unsent() const override { return state_->unsent; }
  bool gone() const override { return state_->gone; }

  void when_gone(std::function<void()> then) override {
    // What is posted runs on the thread that calls leave().
    const auto shared = std::make_shared<std::function<void()>>(std::move(then));
    const bool posted = state_->mailbox->post([state = state_, shared] {
      if (state->gone)
        (*shared)();
      else
        state->when_gone.push_back(std::move(*shared));
    });
    if (!posted) (*shared)();
  }

 private:
  template <class F>
  void post(F&& f) {
    state_->mailbox->post([state = state_, f = std::forward<F>(f)]() mutable {
      if (const std::shared_ptr<AnswerSink> sink = state->sink.lock()) f(*sink, *state);
    });
  }

  std::shared_ptr<ExchangeState> state_;
};

}  // namespace

void ExchangeState::leave() {
  if (gone.exchange(true)) return;
  const std::vector<std::function<void()>> calls = std::move(when_gone);
  when_gone.clear();
  for (const auto& call : calls) call();
}

std::shared_ptr<Exchange> make_exchange(std::shared_ptr<ExchangeState> state) {
  return std::make_shared<SharedExchange>(std::move(state));
}

}  // namespace vl3::http
