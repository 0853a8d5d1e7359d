#pragma once
// What all routes of the API work with.

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine_thread.h"
#include "engine/worker_pool.h"
#include "http/server.h"
#include "serve/api_error.h"
#include "serve/media_intake.h"
#include "serve/metrics.h"
#include "serve/request_fields.h"
#include "serve/sampling_fields.h"
#include "serve/structured_fields.h"

namespace vl3::serve {

// A request that has no answer yet.
class UnderWay {
 public:
  virtual ~UnderWay() = default;
  virtual void glance() {}                          // says something to a client that has waited for long
  virtual void cut_off(const ApiError& error) = 0;  // answers so, now, and stops the work for it
};

struct ApiOptions {
  ModelNames models;
  SchedulerOptions scheduler;
  int64_t max_open = 0;  // requests that have no answer yet; more are refused with 429. 0: no limit
  int parsing_threads = 2;
  int fetching_threads = 16;                     // each waits for a download most of the time
  std::chrono::milliseconds keep_alive{10'000};  // a stream says something at least so often
  std::optional<double> deadline_s;              // of every request, after which it is cut off
  // Told of every request that is answered with 500: its id, and what went wrong, which clients aren't told.
  // Called on any thread; may be null.
  std::function<void(const std::string& id, std::string_view what)> failed;
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

  SamplingSource sampling_source() const;
  int64_t context_tokens() const;
  void update_gauges();
  // What the client of this request is told of a failure. prompt: the field that holds what is asked.
  ApiError refusal(const std::exception_ptr& failure, const std::string& id, const std::string& prompt) const;

  // Those that are glanced at from time to time and may be cut off, until they end.
  void watch(const std::shared_ptr<UnderWay>& request);
  void glance();
  void cut_off();  // all of them: the time that a draining server gives them is over

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<UnderWay>> under_way();
  std::list<std::weak_ptr<UnderWay>> watched_;
  SchedulerStats last_;  // of the engine's thread

 public:
  // The last members: their threads use the others.
  EngineThread thread;
  WorkerPool parsers, fetchers;
};

// 504. when: "before it had a token".
ApiError deadline_exceeded(std::string_view when);

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

std::string random_hex(size_t digits);
int64_t unix_time();

}  // namespace vl3::serve
