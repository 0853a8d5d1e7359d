#pragma once
// An engine and the thread that answers its requests: what stands behind the handle vl3_engine.

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "capi/request.h"
#include "vl3/context.h"
#include "vl3/engine.h"

namespace vl3::capi {

// Thread-safe but for the destructor.
class Session {
 public:
  Session(std::string folder, const EngineOptions& engine, ContextOptions context);
  ~Session();  // cancels what is under way or waits, and ends when none is
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Throws what parse_answer_request throws.
  std::shared_ptr<Request> submit(const Json& request);
  // One that waits ends at once, one that is computed soon.
  void cancel(Request& request);
  // As vl3_engine_describe has it.
  Json describe() const;

 private:
  void work();
  void answer(Request& request);

  std::string folder_;
  Engine engine_;
  Context context_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Request>> waiting_;
  Request* current_ = nullptr;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vl3::capi
