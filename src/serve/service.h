#pragma once
// What all routes of the API work with.

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/engine_thread.h"
#include "http/server.h"
#include "serve/media_intake.h"
#include "serve/metrics.h"
#include "serve/request_fields.h"
#include "serve/sampling_fields.h"
#include "serve/structured_fields.h"
#include "serve/worker_pool.h"

namespace vl3::serve {

class AnswerJob;

struct ApiOptions {
  ModelNames models;
  SchedulerOptions scheduler;
  int64_t max_open = 0;  // requests that have no answer yet; more are refused with 429. 0: no limit
  int parsing_threads = 2;
  int fetching_threads = 16;                     // each waits for a download most of the time
  std::chrono::milliseconds keep_alive{10'000};  // a stream says something at least so often
  std::optional<double> deadline_s;              // of every request, after which it is cut off
};

// Thread-safe but for the destructor: whoever serves has stopped before. It ends what is under way, and every
// request is told of its end.
struct Service {
  Service(ApiOptions options, Context& context, const Engine& engine, MediaIntake& intake, Metrics& metrics);
  ~Service();

  const ApiOptions options;
  const Engine& engine;
  MediaIntake& intake;
  Metrics& metrics;
  const int64_t created;  // when this began, in seconds since 1970
  std::atomic<bool> draining{false};
  std::atomic<int64_t> open{0};  // requests that have no answer yet
  StructuredForms forms;
  EngineThread thread;
  WorkerPool parsers, fetchers;

  SamplingSource sampling_source() const;
  int64_t context_tokens() const;
  void update_gauges();

  // Jobs that want a glance from time to time, until they end.
  void watch(const std::shared_ptr<AnswerJob>& job);
  void glance();

 private:
  std::mutex mutex_;
  std::list<std::weak_ptr<AnswerJob>> watched_;
  SchedulerStats last_;
};

// A place among the open requests. Throws ApiError 503 while draining and 429 where there is none.
class OpenPlace {
 public:
  explicit OpenPlace(Service& service);
  ~OpenPlace() { --service_.open; }
  OpenPlace(const OpenPlace&) = delete;
  OpenPlace& operator=(const OpenPlace&) = delete;

 private:
  Service& service_;
};

// What went wrong, as the client is told.
ApiError api_error_of(const std::exception_ptr& failure);

std::string random_hex(size_t digits);
int64_t unix_time();

}  // namespace vl3::serve
