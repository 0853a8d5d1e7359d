#pragma once
// One request from its body to its last byte: prepared by a worker, answered by the engine's thread, told to
// the client as it asked. Whatever happens it is answered once, or cancelled when nobody listens any more.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "serve/answer_format.h"
#include "serve/service.h"

namespace vl3::serve {

// What the scheduler gets.
using Prompted = std::variant<ProcessorRequest, ForwardInput>;

struct AnswerSetup {
  RequestFields fields;
  Sampling sampling;
  RequestOptions options;  // but for hooks and probe, which are the job's
  std::unique_ptr<AnswerFormat> format;
  // Called on a worker: downloads. Throws what the client is told.
  std::function<Prompted(const std::function<bool()>& cancelled)> prepare;
  bool slow = false;          // it may wait: for others' servers, or for a compiler
  StructuredSpec structured;  // the form that the answer has to have
  // Nothing is generated: what was prepared, ids, is told as it is. It may fill the context.
  bool prompts_alone = false;
};

class AnswerJob : public UnderWay, public std::enable_shared_from_this<AnswerJob> {
 public:
  // id: of the request, for the log. prompt: the field of the body that holds what is asked.
  AnswerJob(Service& service, std::string id, std::string prompt, std::shared_ptr<http::Exchange> exchange,
            std::unique_ptr<OpenPlace> place, double received_s);

  // Goes on by itself from here; holds itself until the end.
  void start(AnswerSetup setup);
  void glance() override;  // says something on a stream, and cuts off what is not submitted in time
  void cut_off(const ApiError& error) override;
  void fail(const std::exception_ptr& failure);

 private:
  void cancel();
  void submit();
  void submit(Prompted prompted);
  double left_s() const;  // of the time that the request has, which began when it was received
  void tell_prompts(std::vector<std::vector<int64_t>> prompts);
  void token(const StreamEvent& event);
  void progress(std::string_view stage, int64_t done, int64_t total);
  void end(EndedRequest ended);
  void finish(EndedRequest ended);
  void refuse(const ApiError& error);
  void measure(const EndedRequest& ended, const AnswerOutcome& outcome);
  void begin();                  // with the mutex held: the head of the stream
  void write(std::string text);  // likewise
  RequestOptions options_with_hooks();
  void keep_form(RequestOptions& options);

  Service& service_;
  const std::string request_, prompt_;
  const std::shared_ptr<http::Exchange> exchange_;
  std::unique_ptr<OpenPlace> place_;
  AnswerSetup setup_;
  Probe probe_;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> set_up_{false};  // the setup is there
  std::atomic<RequestId> id_{0};

  std::mutex mutex_;  // of what follows
  AnswerTimes times_;
  double started_s_ = 0, last_token_s_ = 0;
  double last_said_s_ = 0, last_progress_s_ = 0;
  bool begun_ = false, over_ = false;
};

}  // namespace vl3::serve
