#pragma once
// An engine, its scheduler and the thread that steps it: what stands behind the handle vl3_engine.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "capi/request.h"
#include "vl3/context.h"
#include "vl3/engine.h"
#include "vl3/scheduler.h"
#include "vl3/structured_output.h"

namespace vl3::capi {

// Thread-safe but for the destructor.
class Session {
 public:
  Session(std::string folder, const EngineOptions& engine, ContextOptions context);
  ~Session();  // cancels what is under way or waits, and ends when none is
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Throws what parse_answer_request throws, and kInvalidArgument for "client", "priority" and "deadline_s".
  std::shared_ptr<Request> submit(const Json& request);
  // Within a step of the model.
  void cancel(Request& request);
  // As vl3_engine_describe has it.
  Json describe() const;

 private:
  struct Live {
    RequestId id = 0;
    std::shared_ptr<Request> request;
    std::unique_ptr<Probe> probe;
  };
  void work();
  void collect();
  const StructuredCompiler& compiler();

  std::string folder_;
  Engine engine_;
  std::once_flag compiler_once_;
  std::optional<StructuredCompiler> compiler_;  // of forms of answers, made when the first is asked for
  Context context_;
  Scheduler scheduler_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Live> live_;  // given to the scheduler and not taken back
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vl3::capi
